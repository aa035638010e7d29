// Keeps the overview live: the server sends the parts that have changed. It can be
// paused, and pauses by itself while nobody looks at the tab.
"use strict";
(() => {
  const page = document.querySelector("[data-live]");
  const state = page.querySelector("[data-live-state]");
  const button = page.querySelector("[data-live-pause]");
  const kept = "florin-overview-paused";
  const retry = 10_000; // ms
  let source = null;
  let timer = 0;
  let isPaused = false;
  let hasEnded = false;
  try { isPaused = sessionStorage.getItem(kept) === "yes"; } catch { /* it lasts for this page */ }

  // say tells how it stands: live, paused, or why it stands still.
  function say(text, tone) {
    if (state.textContent !== text) state.textContent = text;
    state.dataset.tone = tone;
  }

  // morph makes an element like another one and leaves alone what is the same: what
  // is open, focused, scrolled or selected stays so.
  function morph(old, next) {
    for (const { name } of [...old.attributes]) {
      if (name !== "open" && !next.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of next.attributes) {
      if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const had = [...old.childNodes];
    const wanted = [...next.childNodes];
    wanted.forEach((node, i) => {
      if (!had[i]) old.append(node);
      else if (had[i].nodeName !== node.nodeName) had[i].replaceWith(node);
      else if (node.nodeType === Node.ELEMENT_NODE) morph(had[i], node);
      else if (had[i].data !== node.data) had[i].data = node.data;
    });
    had.slice(wanted.length).forEach((node) => node.remove());
  }

  function show(parts) {
    const sent = new DOMParser().parseFromString(parts.join(""), "text/html");
    for (const part of sent.querySelectorAll("[data-part]")) {
      const old = document.getElementById(part.id);
      if (!old) {
        location.reload(); // a part that the page began without
        return;
      }
      morph(old, part);
      old.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true })); // admin.js shows times in the viewer's zone
    }
  }

  function close() {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
  }

  function open() {
    close();
    source = new EventSource(page.dataset.live);
    source.addEventListener("message", (event) => {
      show(JSON.parse(event.data));
      say("Live", "good");
    });
    source.addEventListener("trouble", (event) => say(`Stands still: ${JSON.parse(event.data)}. Trying again.`, "bad"));
    source.addEventListener("ended", (event) => {
      hasEnded = true;
      close();
      say(`Ended: ${JSON.parse(event.data)}. Load the page again.`, "bad");
      button.hidden = true;
    });
    source.addEventListener("error", () => {
      say("Stands still: the server can't be reached. Trying again.", "bad");
      // After an answer that is no stream the browser does not try again by itself.
      if (source && source.readyState === EventSource.CLOSED) timer = setTimeout(open, retry);
    });
  }

  function follow() {
    if (hasEnded) return;
    button.textContent = isPaused ? "Resume" : "Pause";
    if (isPaused) {
      close();
      say("Paused", "muted");
    } else if (document.hidden) {
      close();
    } else if (!source) {
      open();
    }
  }

  button.addEventListener("click", () => {
    isPaused = !isPaused;
    try { sessionStorage.setItem(kept, isPaused ? "yes" : "no"); } catch { /* it lasts for this page */ }
    follow();
  });
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", close);
  addEventListener("pageshow", follow);
  button.hidden = false;
  follow();
})();
