// The console's editor: runs without leaving the page, cancels, completes names, and
// draws a result. Without it the form runs the query and shows the result as a page.
"use strict";
(() => {
  const form = document.querySelector("[data-editor]");
  const editor = form.querySelector("textarea");
  const schema = new Map();
  for (const view of document.querySelectorAll("[data-view]")) {
    schema.set(view.dataset.view, [...view.querySelectorAll("[data-column]")].map((column) => column.dataset.column));
  }
  for (const part of form.querySelectorAll("[data-with-script]")) part.hidden = false;

  // Where there is little room, what is on the shelves would stand before the result.
  if (!matchMedia("(min-width: 72rem)").matches) {
    for (const shelf of document.querySelectorAll(".shelf[open]")) shelf.open = false;
  }

  // Running.

  let running = null;
  const result = () => document.querySelector("[data-result]");
  const runButton = form.querySelector('button[value="run"]');
  const cancelButton = form.querySelector("[data-cancel]");
  const others = [...form.querySelectorAll('button[value="explain"]:enabled, [data-csv]:enabled')];
  const state = form.querySelector("[data-state]");
  const elapsed = form.querySelector("[data-elapsed]");

  // turn shows whether a query runs: the button to cancel it stands where it was begun.
  function turn(isRunning, text) {
    const [from, to] = isRunning ? [runButton, cancelButton] : [cancelButton, runButton];
    const hadFocus = document.activeElement === from;
    from.hidden = true;
    to.hidden = false;
    for (const other of others) other.disabled = isRunning;
    if (hadFocus) to.focus();
    state.textContent = text;
    elapsed.textContent = "";
    result().setAttribute("aria-busy", String(isRunning));
  }

  async function run(submitter) {
    if (running) return;
    running = new AbortController();
    const asked = new URLSearchParams(new FormData(form, submitter)); // before its button is disabled
    const began = Date.now();
    const ticking = setInterval(() => { elapsed.textContent = `${Math.round((Date.now() - began) / 1000)} s`; }, 1000);
    turn(true, "Running");
    let ended = "";
    try {
      const response = await fetch(form.getAttribute("action"), {
        method: "POST", body: asked, headers: { "HX-Request": "true" }, signal: running.signal,
      });
      const elsewhere = response.headers.get("HX-Redirect");
      if (elsewhere) location.assign(elsewhere);
      else show(new DOMParser().parseFromString(await response.text(), "text/html"));
    } catch (error) {
      ended = error.name === "AbortError" ? "Cancelled: the database was told to stop." : "The server can't be reached. Run it again.";
    } finally {
      clearInterval(ticking);
      running = null;
      turn(false, ended);
    }
  }

  // show takes over the result, or the page that says why there is none.
  function show(page) {
    const found = page.querySelector("[data-result]");
    const fresh = document.adoptNode(found || page.querySelector("main"));
    if (found) result().replaceWith(fresh);
    else result().replaceChildren(...fresh.childNodes);
    const shown = result();
    shown.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true }));
    editor.removeAttribute("aria-invalid");
    if (shown.querySelector(".problem")) editor.setAttribute("aria-invalid", "true");
    prepareResult();
    if (shown.getBoundingClientRect().top > innerHeight - 120) shown.scrollIntoView({ block: "start" });
  }

  cancelButton.addEventListener("click", () => running?.abort());

  form.addEventListener("submit", (event) => {
    const submitter = event.submitter;
    if (submitter?.name === "do") {
      event.preventDefault();
      close();
      run(submitter);
    } else if (submitter && "csv" in submitter.dataset) {
      event.stopPropagation(); // a download leaves the form as it is, to be sent again
    }
  });

  // Places of errors are characters, the editor's are UTF-16.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-goto]");
    if (!button) return;
    const at = [...editor.value].slice(0, Number(button.dataset.goto) - 1).join("").length;
    editor.focus();
    const word = /^[\p{L}\p{N}_]+/u.exec(editor.value.slice(at));
    editor.setSelectionRange(at, at + (word ? word[0].length : 1));
  });

  // Completion.

  const words = ("SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT JOIN LEFT ON AS AND OR NOT NULL IS IN BETWEEN LIKE DISTINCT CASE WHEN THEN ELSE END " +
    "WITH UNION ALL EXISTS INTERVAL DESC ASC FILTER OVER PARTITION count sum min max avg coalesce nullif round date_trunc extract now").split(" ");
  const list = document.createElement("ul");
  list.id = "completions";
  list.className = "completions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Completions");
  list.hidden = true;
  editor.parentElement.append(list);
  editor.setAttribute("aria-autocomplete", "list");
  let open = null; // {from, options, active, isMoved}

  // candidates are what fits at the cursor: after a name and a point the columns of
  // what the name stands for, after FROM and JOIN views, else columns and words.
  function candidates(isAsked) {
    const before = editor.value.slice(0, editor.selectionStart);
    const [, owner, typed] = /(?:(\w+)\.)?(\w*)$/.exec(before);
    if (!typed && !owner && !isAsked) return null;
    const from = before.length - typed.length;
    const quoted = before.replace(/--.*/g, "").split("'").length % 2 === 0;
    if (quoted || /--[^\n]*$/.test(before)) return null;
    const named = new Map();
    for (const [, view, alias] of editor.value.matchAll(/\b(?:from|join)\s+(?:reporting\.)?(\w+)(?:\s+(?:as\s+)?(\w+))?/gi)) {
      if (!schema.has(view)) continue;
      named.set(view, view);
      if (alias) named.set(alias, view);
    }
    const views = [...schema.keys()];
    let all;
    if (owner === "reporting") all = views;
    else if (owner) all = schema.get(named.get(owner)) || [];
    else if (/\b(?:from|join)\s+\w*$/i.test(before)) all = views.map((view) => `reporting.${view}`);
    else {
      const near = [...new Set([...named.values()])].flatMap((view) => schema.get(view));
      all = [...near, ...words, ...views.map((view) => `reporting.${view}`), "reporting"];
    }
    const wanted = typed.toLowerCase();
    const fits = (option) => option.toLowerCase().startsWith(wanted) || option.startsWith("reporting.") && option.slice(10).startsWith(wanted);
    const options = [...new Set(all)].filter((option) => fits(option) && option.toLowerCase() !== wanted).slice(0, 8);
    return options.length ? { from, options, active: 0, isMoved: false } : null;
  }

  function suggest(isAsked) {
    open = candidates(isAsked);
    if (!open) return close();
    list.replaceChildren(...open.options.map((option, i) => {
      const item = document.createElement("li");
      item.id = `completion-${i}`;
      item.setAttribute("role", "option");
      item.textContent = option;
      item.addEventListener("mousedown", (event) => {
        event.preventDefault();
        open.active = i;
        accept();
      });
      return item;
    }));
    list.hidden = false;
    editor.setAttribute("aria-controls", list.id);
    place();
    mark();
  }

  // place puts the list below the cursor: lines don't wrap, and letters are as wide as
  // each other.
  function place() {
    list.style.left = "0"; // where it is as wide as it wants
    const style = getComputedStyle(editor);
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${style.fontSize} ${style.fontFamily}`; // style.font is "" where it has figures of one width
    const before = editor.value.slice(0, open.from).split("\n");
    const line = parseFloat(style.lineHeight);
    const left = parseFloat(style.paddingLeft) + pen.measureText(before.at(-1)).width - editor.scrollLeft;
    const top = parseFloat(style.paddingTop) + before.length * line - editor.scrollTop;
    list.style.left = `${Math.max(0, Math.min(left, editor.clientWidth - list.offsetWidth))}px`;
    list.style.top = `${Math.min(top, editor.clientHeight) + 2}px`;
  }

  function mark() {
    for (const [i, item] of [...list.children].entries()) item.setAttribute("aria-selected", String(i === open.active));
    editor.setAttribute("aria-activedescendant", `completion-${open.active}`);
  }

  function close() {
    open = null;
    list.hidden = true;
    editor.removeAttribute("aria-activedescendant");
    editor.removeAttribute("aria-controls");
  }

  function insert(text, from) {
    editor.focus();
    editor.setSelectionRange(from, editor.selectionEnd);
    // Through the editor's own history, so that it can be undone.
    if (!document.execCommand("insertText", false, text)) editor.setRangeText(text, from, editor.selectionEnd, "end");
  }

  function accept() {
    const { options, active, from } = open;
    close();
    insert(options[active], from);
    close(); // what was inserted asked for the next
  }

  editor.addEventListener("input", (event) => {
    if (event.inputType === "insertText" || event.inputType === "deleteContentBackward") suggest(false);
    else close();
  });
  editor.addEventListener("blur", close);
  addEventListener("resize", () => { if (open) place(); });
  editor.addEventListener("scroll", close);
  editor.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (!runButton.disabled && !running) form.requestSubmit(runButton);
      return;
    }
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      suggest(true);
      return;
    }
    if (!open) return;
    switch (event.key) {
      case "ArrowDown":
      case "ArrowUp":
        event.preventDefault();
        open.active = (open.active + (event.key === "ArrowDown" ? 1 : open.options.length - 1)) % open.options.length;
        open.isMoved = true;
        mark();
        return;
      case "Enter":
        if (!open.isMoved) return close();
        event.preventDefault();
        return accept();
      case "Tab":
        if (event.shiftKey) return close();
        event.preventDefault();
        return accept();
      case "Escape":
        event.stopPropagation();
        return close();
      case "ArrowLeft":
      case "ArrowRight":
        return close();
    }
  });

  // A chart of the rows that are shown, from the table itself.

  const svg = "http://www.w3.org/2000/svg";
  const made = (name, attributes, ...children) => {
    const element = name.startsWith("svg:") ? document.createElementNS(svg, name.slice(4)) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  function prepareResult() {
    for (const button of document.querySelectorAll("[data-goto]")) button.hidden = false;
    const table = document.querySelector("[data-rows]");
    const drawing = document.querySelector("[data-drawing]");
    if (!table || !drawing) return;
    const heads = [...table.tHead.rows[0].cells];
    const numbers = heads.map((head, i) => (head.classList.contains("number") ? i : -1)).filter((i) => i >= 0);
    if (!numbers.length || table.tBodies[0].rows.length < 2) return;
    const label = (i) => heads[i].firstChild.textContent;
    const choose = (id, text, options, chosen) => {
      const select = made("select", { id }, ...options.map(([value, name]) => made("option", { value }, name)));
      select.value = chosen;
      return [made("label", { for: id }, text), select];
    };
    const all = heads.map((_, i) => [i, label(i)]);
    const times = heads.findIndex((head) => /^(date|timestamp)/.test(head.dataset.type));
    const first = heads.findIndex((_, i) => !numbers.includes(i));
    const fields = made("div", { class: "drawn-by" },
      ...choose("draw-x", "Across", all, times >= 0 ? times : Math.max(0, first)),
      ...choose("draw-y", "Up", numbers.map((i) => [i, label(i)]), numbers.at(-1)),
      ...choose("draw-as", "As", [["bars", "Bars"], ["line", "Line"]], times >= 0 ? "line" : "bars"));
    const picture = made("div", { class: "picture" });
    const draw = () => {
      const [x, y, as] = [...fields.querySelectorAll("select")].map((select) => select.value);
      picture.replaceChildren(chartOf(table, Number(x), Number(y), as, label));
    };
    fields.addEventListener("change", draw);
    const box = made("details", { class: "card draw" }, made("summary", {}, "Chart"), fields, picture);
    box.addEventListener("toggle", () => { if (box.open) draw(); });
    drawing.replaceChildren(box);
    drawing.hidden = false;
  }

  const drawnMax = 500;
  const short = (value) => new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value);

  // chartOf draws the rows in their order. The numbers are for the picture alone: what
  // is exact stands in the table, and in the title of each part.
  function chartOf(table, x, y, as, label) {
    const rows = [...table.tBodies[0].rows].slice(0, drawnMax);
    const points = rows.map((row) => ({ name: row.cells[x].textContent.trim(), text: row.cells[y].textContent.trim(), value: Number(row.cells[y].textContent) || 0 }));
    const high = Math.max(0, ...points.map((p) => p.value));
    const low = Math.min(0, ...points.map((p) => p.value));
    const [width, height] = [1000, 200];
    const up = (value) => (high === low ? height : ((high - value) / (high - low)) * height).toFixed(1);
    const slot = width / points.length;
    const picture = made("svg:svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `${label(y)} by ${label(x)}, of the rows below` });
    for (const line of [0, height / 2, height]) picture.append(made("svg:line", { class: "grid", x1: 0, x2: width, y1: line, y2: line }));
    if (as === "bars") {
      points.forEach((p, i) => {
        const [top, foot] = [Math.min(up(p.value), up(0)), Math.max(up(p.value), up(0))];
        picture.append(made("svg:rect", { class: p.value < 0 ? "bar bad" : "bar", x: (i * slot + slot * 0.1).toFixed(1), y: top, width: (slot * 0.8).toFixed(1), height: (foot - top).toFixed(1) },
          made("svg:title", {}, `${p.name}: ${p.text}`)));
      });
    } else {
      const path = points.map((p, i) => `${i ? "L" : "M"}${(i * slot + slot / 2).toFixed(1)} ${up(p.value)}`).join("");
      picture.append(made("svg:path", { class: "line", d: path }));
    }
    picture.append(made("svg:line", { class: "zero", x1: 0, x2: width, y1: up(0), y2: up(0) }));
    const scale = made("div", { class: "scale", "aria-hidden": "true" }, ...[high, (high + low) / 2, low].map((value) => made("span", {}, short(value))));
    const ends = points.length > 8 ? [points[0], points.at(-1)] : points;
    const figure = made("figure", { class: "chart" }, made("div", { class: "plot" }, scale, picture),
      made("div", { class: `span muted${points.length > 8 ? "" : " names"}` }, ...ends.map((p) => made("span", {}, p.name))));
    if (table.tBodies[0].rows.length > drawnMax) figure.append(made("p", { class: "muted" }, `The first ${drawnMax} rows.`));
    return figure;
  }

  // Two clicks on a name of the schema writes it where the cursor is.
  document.querySelector(".shelves").addEventListener("dblclick", (event) => {
    const column = event.target.closest("[data-column]");
    if (column) insert(column.dataset.column, editor.selectionStart);
  });

  prepareResult();
})();
