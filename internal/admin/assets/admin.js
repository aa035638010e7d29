// What makes the pages handier. Everything can be read without it.
"use strict";
(() => {
  const local = new Intl.DateTimeFormat("en-CA", {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  });

  // Times in the viewer's zone; UTC stays in the title.
  function showTimes(root) {
    for (const time of root.querySelectorAll("time[data-time]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      time.textContent = local.format(at).replace(",", "");
      time.removeAttribute("data-time");
    }
  }

  function prepare(root) {
    showTimes(root);
    for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = !navigator.clipboard;
    for (const button of root.querySelectorAll("button[data-print]")) button.hidden = false;
    for (const themes of root.querySelectorAll("[data-themes]")) themes.hidden = false;
    markTheme();
  }

  function markTheme() {
    const set = document.documentElement.dataset.theme || "";
    for (const button of document.querySelectorAll("[data-theme-set]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeSet === set));
    }
  }

  function setTheme(theme) {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    try {
      if (theme) localStorage.setItem("florin-theme", theme);
      else localStorage.removeItem("florin-theme");
    } catch { /* it lasts for this page */ }
    markTheme();
  }

  // The navigation stands open beside the page where there is room for it.
  const wide = matchMedia("(min-width: 60rem)");
  function fitMenu() {
    const menu = document.querySelector(".menu");
    if (menu) menu.open = wide.matches;
  }
  wide.addEventListener("change", fitMenu);
  fitMenu();

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const search = document.querySelector("[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    }
    if (event.key === "Escape") {
      for (const open of document.querySelectorAll("details.who[open], details.ask[open]")) {
        open.open = false;
        open.querySelector("summary").focus();
      }
    }
  });

  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const label = copy.getAttribute("aria-label");
      let said = "Copied";
      try { await navigator.clipboard.writeText(copy.dataset.copy); } catch { said = "The browser does not let us copy"; }
      copy.classList.toggle("copied", said === "Copied");
      copy.setAttribute("aria-label", said);
      setTimeout(() => {
        copy.classList.remove("copied");
        if (label) copy.setAttribute("aria-label", label);
        else copy.removeAttribute("aria-label");
      }, 1200);
      return;
    }
    if (event.target.closest("[data-print]")) print();
    const theme = event.target.closest("[data-theme-set]");
    if (theme) setTheme(theme.dataset.themeSet);
    for (const open of document.querySelectorAll("details.who[open], details.ask[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    addEventListener("pageshow", () => delete form.dataset.sent, { once: true });
  });

  // A page that the browser kept whole may be of somebody who has signed out since.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  document.addEventListener("htmx:load", (event) => prepare(event.target));
  prepare(document);
})();
