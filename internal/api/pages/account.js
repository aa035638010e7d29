// The forms that links in mails lead to. The token stands behind '#', which
// browsers send to no server and in no Referer; it leaves the address bar, and the
// history, as soon as it is read.
"use strict";

const form = document.querySelector("form");
const status = document.querySelector("[role=status]");
const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
history.replaceState(null, "", location.pathname);

function say(text, kind) {
  status.textContent = text;
  status.className = kind;
}

if (token === "") {
  form.hidden = true;
  say("This link is not complete. Open it from the mail again, or copy all of it.", "bad");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const body = { token };
  const password = form.querySelector("[name=newPassword]");
  if (password) body.newPassword = password.value;
  button.disabled = true;
  say("One moment …", "");
  try {
    const answer = await fetch(form.dataset.path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) {
      form.hidden = true;
      say(form.dataset.done, "good");
      return;
    }
    const problem = await answer.json();
    const fields = (problem.errors || []).map((e) => e.problem);
    say(problem.code === "invalid_token"
      ? "This link was used before, or is too old. Ask for a new one."
      : fields.length ? "The password " + fields.join("; ") + "." : problem.title + ".", "bad");
  } catch {
    say("The server can't be reached. Try again.", "bad");
  }
  button.disabled = false;
  if (password) password.focus();
});
