// Runs before the page is drawn, so that it is never drawn in the other theme first.
"use strict";
(() => {
  let kept = null;
  try { kept = localStorage.getItem("florin-theme"); } catch { /* storage is off */ }
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
})();
