// Who looks at the page: anybody where the server has no tokens, else whoever signed in with one.

import { $, el, refresh, say } from "./dom.js";
import { error } from "./parts.js";
import { Problem, ask, patience } from "./server.js";

const RETRY_MS = 3000;

let session = { name: "local", role: "admin", tokens_needed: false, signed_in: false };

export const account = () => session;
export const maySend = () => ["admin", "upload"].includes(session.role);

function show() {
  const needed = session.tokens_needed && !session.signed_in;
  refresh($("unreachable"), []);
  $("sign-in").hidden = !needed;
  for (const part of ["work", "session"]) $(part).hidden = needed || (part === "session" && !session.tokens_needed);
  say($("who"), session.tokens_needed && session.name ? `${session.name} (${session.role})` : "");
  $("upload").hidden = !maySend();
  $("may-not-send").hidden = maySend();
  if (needed) $("token").focus();
  return !needed;
}

// Asks who we are; true when the page may be used.
async function ready() {
  session = await ask("/session");
  return show();
}

// As `ready`, as soon as somebody answers.
async function reached() {
  for (;;) {
    try {
      return await ready();
    } catch (problem) {
      $("work").hidden = true;
      refresh($("unreachable"), [["problem", problem.detail, () => el("section", { class: "card" }, error(problem))]]);
      if (!problem.passes) return false;
    }
    await patience(RETRY_MS).over;
  }
}

async function signIn() {
  const token = $("token").value.trim();
  if (!token) throw new Problem({ code: "no_token", detail: "Enter your access token first." });
  await ask("/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }) });
  $("token").value = "";
  if (await ready()) document.dispatchEvent(new CustomEvent("signed-in"));
}

// Calls `begin` once, as soon as the page may be used.
export async function whenSignedIn(begin) {
  $("sign-in-form").addEventListener("submit", (event) => {
    event.preventDefault();
    $("sign-in-note").replaceChildren();
    signIn().catch((problem) => $("sign-in-note").replaceChildren(error(problem)));
  });
  $("sign-out").addEventListener("click", () => ask("/session", { method: "DELETE" }).finally(() => location.reload()));
  // A session ends while the page is open: what it shows stays, and goes on after signing in again.
  document.addEventListener("signed-out", () => {
    if (!session.tokens_needed) return;
    $("sign-in").hidden = false;
    say($("sign-in-why"), "Your session has ended. Sign in again and everything here goes on.");
  });
  document.addEventListener("signed-in", begin, { once: true });
  if (await reached()) document.dispatchEvent(new CustomEvent("signed-in"));
}
