// What is known of an upload, as people read it: its way, its counts, why rows were rejected, what it waits for.

import { el } from "./dom.js";
import { error, notice } from "./parts.js";
import { firstRejects } from "./rejects.js";
import { bytes, clock, number, plural, sentence } from "./words.js";

export const OPEN = new Set(["receiving", "received", "archiving", "archived", "loading"]);
export const isOpen = (view) => OPEN.has(view.state);

const STAGES = {
  receive: "Arriving", archive: "Copying into the archive", expand: "Expanding", index: "Reading", clean: "Reading and cleaning rows",
  split: "Sorting", load: "Storing rows", finish: "Finishing",
};

export const stageText = (progress) => STAGES[progress.stage] ?? sentence(progress.stage);

export function stateText(view) {
  if (view.state === "done") return view.rejected > 0 ? `Done, ${plural(view.rejected, "row")} rejected` : "Done";
  if (view.cancel_asked) return "Stopping";
  const text = sentence(view.state);
  return view.waiting ? `${text}, waiting` : text;
}

function waiting(view) {
  if (!view.waiting) return null;
  const { message, next_try: next } = view.waiting;
  const [why, advice] = message.split("; next: ");
  return el("div", { class: "waiting", role: "status" }, el("div", {}, sentence(why)), advice ? el("div", {}, sentence(advice)) : null,
    el("small", {}, `The file is stored safely, and goes on by itself.${next ? ` Next try: ${new Date(next).toLocaleTimeString()}.` : ""}`));
}

function steps(view) {
  const order = ["received", "archived", "loading", "done"];
  const at = { receiving: -1, received: 0, archiving: 0, archived: 1, loading: 2, done: 3 }[view.state] ?? (view.archived_at ? 1 : 0);
  const announced = view.announced_at ? `, announced ${clock(view.announced_at)}` : "";
  const labels = [
    view.received_at ? `Received ${clock(view.received_at)}${announced}` : "Received",
    view.archived_at ? `Archived ${clock(view.archived_at)}` : "Archived",
    "Loaded", view.state === "done" ? `Done ${clock(view.finished_at)}` : "Done",
  ];
  return el("ol", { class: "steps" }, ...order.map((_, step) => {
    const past = view.state === "done" || (step <= at && !(step === at && view.state === "loading"));
    const now = !past && isOpen(view) && (step === at + 1 || (view.state === "loading" && step === 2));
    return el("li", { class: past ? "past" : now ? "now" : "", "aria-current": now ? "step" : null }, labels[step]);
  }));
}

function counts(view) {
  if (view.read === 0 && view.state !== "done") return null;
  const shown = [["Read", view.read], ["New", view.inserted], ["Replaced", view.replaced], ["Duplicates", view.duplicates], ["Rejected", view.rejected]];
  return el("dl", { class: "counts" }, ...shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, number(value)))));
}

function reasons(view) {
  if (!view.reasons.length) return null;
  const rows = view.reasons.map((reason) => el("tr", {}, el("td", {}, number(reason.count)), el("td", {}, reason.field === "row" ? "whole row" : reason.field),
    el("td", {}, reason.code.replaceAll("_", " ")), el("td", {}, `line ${number(reason.first_line)}: ${reason.example}`)));
  return el("div", { class: "scroll" }, el("table", { class: "reasons" }, el("caption", {}, "Rejected rows by reason"),
    el("thead", {}, el("tr", {}, ...["Rows", "Field", "Reason", "For example"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...rows)));
}

function times(view) {
  const { offset, zone, epoch, formats, folds, gaps } = view.times;
  const parts = [[offset, "with an offset"], [zone, `read in ${view.options?.zone ?? "the zone"}`], [epoch, "epoch"],
    ...Object.entries(formats ?? {}).map(([format, count]) => [count, `as ${format}`]),
    [folds, "in an hour that came twice"], [gaps, "in an hour that never was"]];
  const text = parts.filter(([count]) => count > 0).map(([count, how]) => `${number(count)} ${how}`).join(", ");
  return text ? el("p", { class: "quiet" }, `Times: ${text}.`) : null;
}

// What a sentence says to type is done here with a button.
function onPage(remark) {
  return sentence(remark)
    .replace(/userdata rejects \S+( -o \S+)?/, "“Download rejected rows”")
    .replace(/userdata retry \S+ --max-rejects \S+/, "choose how many under “Change options and load again”")
    .replace(/userdata retry \S+ --restart/, "press “Retry from the start”")
    .replace(/userdata again \S+ --existing replace$/, "press “Load again and replace”")
    .replace(/userdata again \S+((?: --\S+ (?:'[^']*'|[^\s;]+))+)/g, (_, flags) => {
      // A value in capitals stands for what only the reader knows.
      // Of several of a name the first ones hold already.
      const chosen = new Map([...flags.matchAll(/--(\S+) (?:'([^']*)'|(\S+))/g)].map(([, name, words, word]) => [name, /^[A-Z]+$/.test(word) ? `the ${name}` : `${name} ${words ?? word}`]));
      return `choose ${[...chosen.values()].join(" and ")} under “Change options and load again”`;
    });
}

function failure(view) {
  if (!view.error) return null;
  const { code, message, next } = view.error;
  return error({ code, detail: message, next: next && onPage(next) }, { safe: safe(view), id: view.id });
}

// What became of the table, where an upload failed.
function safe(view) {
  const stored = view.inserted + view.replaced;
  const rows = stored > 0 ? `${sentence(plural(stored, "row"))} ${stored === 1 ? "was" : "were"} stored before that and ${stored === 1 ? "stays" : "stay"}.` : "No row of it was stored; the table is as it was.";
  return `${rows} The file itself is kept.`;
}

function remarks(view) {
  return view.remarks.length ? el("div", {}, ...view.remarks.map((remark) => notice(onPage(remark)))) : null;
}

function expiry(view) {
  if (!view.expires_at || view.state !== "receiving") return null;
  return el("p", { class: "quiet" }, `What has arrived is kept until ${new Date(view.expires_at).toLocaleString()}.`);
}

function facts(view) {
  const all = [view.size !== null && bytes(view.size), `from ${view.sender}`, view.owner && `worked on by ${view.owner}`,
    view.attempts > 1 && `attempt ${view.attempts}`, view.id];
  return el("p", {}, el("small", {}, all.filter(Boolean).join(" · ")));
}

// Everything there is to say of an upload, as parts to be shown by `refresh`.
export function details(view) {
  const { id, state, received_at, announced_at, archived_at, finished_at, read, inserted, replaced, duplicates, rejected } = view;
  const stored = inserted + replaced;
  return [
    ["steps", [state, received_at, announced_at, archived_at, finished_at], () => steps(view)],
    ["waiting", view.waiting, () => waiting(view)],
    ["error", [view.error, view.error && stored], () => failure(view)],
    ["counts", [state, read, inserted, replaced, duplicates, rejected], () => counts(view)],
    ["remarks", view.remarks, () => remarks(view)],
    ["times", [view.times, view.options?.zone], () => times(view)],
    ["reasons", view.reasons, () => reasons(view)],
    ["rejects", [view.links.rejects, rejected], () => firstRejects(view)],
    ["expiry", [state, view.expires_at], () => expiry(view)],
    ["facts", [view.size, view.sender, view.owner, view.attempts, id], () => facts(view)],
  ];
}
