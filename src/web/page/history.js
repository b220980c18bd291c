// All uploads, newest first: search, filter, page by page, each with what happened to it and what one may do.

import { actions, actionsKey } from "./actions.js";
import { showCard } from "./card.js";
import { $, announce, el, hide, keepFocus, refresh, say, singly, takeAway } from "./dom.js";
import { heardSince, watch } from "./live.js";
import { error } from "./parts.js";
import { ask } from "./server.js";
import { maySend } from "./session.js";
import { plural, when } from "./words.js";
import { details, isOpen, stateText } from "./view.js";

const PAGE = 25;
const TYPING_MS = 250;
const FRESH_MS = 400;

const rows = new Map();
// Of the question that the rows answer: what was read for another is dropped.
let question = 0;
let before = null;
// Whether the ledger's part was there when they were read: only then is it known where the next page begins.
let whole = false;
let refreshing;

class Row {
  #state; #fold; #inside; #buttons; #place; #log;

  constructor(view) {
    this.#state = el("span", {});
    this.#inside = el("div", {});
    this.#log = el("div", {});
    this.#fold = el("details", {}, el("summary", {}, "Details"), this.#inside, this.#log);
    this.#fold.addEventListener("toggle", () => this.#fill());
    this.#buttons = el("div", {});
    this.#place = el("div", {});
    this.node = el("article", { class: "row", "aria-label": view.filename },
      el("div", { class: "head" }, el("h3", {}, view.filename), this.#state),
      el("small", {}, `${when(view.received_at ?? view.started_at)} · from ${view.sender}`), this.#fold, this.#buttons, this.#place);
    this.show(view);
  }

  show(view) {
    // Progress is for the cards: here it would only flicker.
    const shown = JSON.stringify({ ...view, progress: null });
    if (shown === this.shown) return;
    this.shown = shown;
    this.view = view;
    say(this.#state, stateText(view));
    this.#state.className = `state ${view.state}`;
    const begun = (other) => {
      if (other.id !== view.id || !other.cancel_asked) showCard(other);
      soon();
    };
    const all = () => el("div", { class: "actions" }, ...actions(view, { begun, place: this.#place }));
    refresh(this.#buttons, [["all", actionsKey(view), all]]);
    this.#fill();
  }

  open() {
    this.#fold.open = true;
    this.node.scrollIntoView({ block: "center" });
    this.#fold.querySelector("summary").focus();
  }

  // The inside is made when somebody looks into it.
  async #fill() {
    if (!this.#fold.open) return;
    refresh(this.#inside, details(this.view));
    if (!this.view.links.events) return;
    const { events } = await ask(this.view.links.events).catch(() => ({ events: [] }));
    refresh(this.#log, [["log", events, () => (events.length ? log(events) : null)]]);
  }
}

function log(events) {
  const lines = events.map(({ at, message, worker, attempt }) => el("li", {}, `${when(at)}: ${message}`,
    el("small", {}, [worker && ` ${worker}`, attempt > 0 && `attempt ${attempt}`].filter(Boolean).join(", "))));
  return el("details", { class: "log" }, el("summary", {}, "What happened"), el("ol", {}, ...lines));
}

function asked() {
  const query = new URLSearchParams();
  for (const field of $("filter").elements) if (field.name && field.value) query.set(field.name, field.value);
  return query;
}

// Reads the first page, or the next; what was paged in stays in view when the first is read again.
async function load(how) {
  if (how === "anew") { question += 1; whole = false; }
  const own = question;
  const query = asked();
  const none = query.size > 0 ? "No upload fits this search." : "No uploads yet.";
  query.set("limit", String(PAGE));
  if (how === "more" && before !== null) query.set("before", before);
  const since = performance.now();
  try {
    const page = await ask(`/uploads?${query}`);
    if (own !== question) return;
    if (how === "fresh" && !whole && !page.waiting) how = "anew";
    // So many came meanwhile that some between them and what is shown would be missing.
    if (how === "fresh" && rows.size && page.next !== null && !page.uploads.some((view) => rows.has(view.id))) return load("anew");
    const last = how === "more" && $("history").lastElementChild;
    keepFocus($("history"), () => put(page.uploads, how, since));
    if (how !== "fresh") { before = page.next; whole = !page.waiting; }
    hide($("more"), before === null, last?.nextElementSibling?.querySelector("summary"));
    say($("history-note"), page.waiting ? page.waiting.message : rows.size ? "" : none);
    hide($("retry-all"), !(query.get("state") === "failed" && rows.size > 1 && maySend()), $("filter").elements.state);
  } catch (problem) {
    if (own === question) say($("history-note"), problem.detail);
  }
}

// Shows a page's uploads: in place of all rows, before them, or behind them.
function put(uploads, how, since) {
  if (how === "anew") { rows.clear(); $("history").replaceChildren(); }
  uploads.filter((view) => !heardSince(view.id, since)).forEach((view) => rows.get(view.id)?.show(view));
  // What was arriving and is not there any more was given up: the first page has all that arrive.
  if (how === "fresh") dropLost(new Set(uploads.map((view) => view.id)));
  const fresh = uploads.filter((view) => !rows.has(view.id)).map((view) => { const row = new Row(view); rows.set(view.id, row); return row.node; });
  if (how === "fresh") $("history").prepend(...fresh); else $("history").append(...fresh);
}

function dropLost(present) {
  for (const [id, row] of rows) {
    if (row.view.state !== "receiving" || present.has(id)) continue;
    rows.delete(id);
    takeAway(row.node);
  }
}

// Reads the first page again, once for many reasons.
function soon() {
  refreshing ??= setTimeout(() => { refreshing = undefined; load("fresh"); }, FRESH_MS);
}

function changed(view) {
  const row = rows.get(view.id);
  if (!row) return soon();
  const state = asked().get("state");
  const fits = !state || state === view.state || (state === "open" ? isOpen(view) : state === "ended" && !isOpen(view));
  if (!fits) {
    rows.delete(view.id);
    takeAway(row.node);
  } else {
    row.show(view);
  }
}

async function retryAll() {
  const failed = [...rows.values()].map((row) => row.view).filter((view) => view.state === "failed");
  const outcomes = await Promise.allSettled(failed.map((view) => ask(`/uploads/${view.id}/retry`, { method: "POST" })));
  const opened = outcomes.filter(({ status }) => status === "fulfilled").length;
  announce(`${plural(opened, "upload")} opened again`);
  const [refused] = outcomes.filter(({ status }) => status === "rejected");
  $("history-errors").replaceChildren(...(refused ? [error(refused.reason, { dismiss: () => $("history-errors").replaceChildren() })] : []));
  await load("anew");
}

// Finds one upload, and opens its details.
export async function showUpload(id) {
  $("filter").elements.search.value = id;
  $("filter").elements.state.value = "";
  await load("anew");
  rows.get(id)?.open();
}

export function beginHistory() {
  let typing;
  for (const name of ["input", "change"]) {
    $("filter").addEventListener(name, () => { clearTimeout(typing); typing = setTimeout(() => load("anew"), TYPING_MS); });
  }
  $("filter").addEventListener("submit", (event) => { event.preventDefault(); load("anew"); });
  $("more").addEventListener("click", singly(() => load(whole ? "more" : "anew")));
  $("retry-all").addEventListener("click", singly(retryAll));
  document.addEventListener("waiting", ({ detail: waiting }) => say($("history-note"), waiting.message));
  document.addEventListener("caught-up", soon);
  watch(changed);
  load("anew");
}
