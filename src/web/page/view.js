// How uploads, numbers and errors look. Everything that comes from files or the server is put in as text, never as
// markup.
"use strict";

const OPEN = new Set(["receiving", "received", "archiving", "archived", "loading"]);

const $ = (id) => document.getElementById(id);

function el(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

// --- words and numbers ---

const number = (value) => value.toLocaleString("en");

function bytes(value) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (value >= 1000 && at < units.length - 1) { value /= 1000; at += 1; }
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

function span(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

const when = (text) => (text ? new Date(text).toLocaleString() : "");
// Only the time, where the date is today's.
function clock(text) {
  const at = new Date(text);
  return at.toDateString() === new Date().toDateString() ? at.toLocaleTimeString() : at.toLocaleString();
}
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

// How fast something goes, smoothed over the last few seconds.
class Speed {
  constructor() { this.points = []; }
  at(done) {
    const now = performance.now() / 1000;
    if (this.points.length && done < this.points[this.points.length - 1][1]) this.points = [];
    this.points.push([now, done]);
    while (this.points.length > 2 && now - this.points[0][0] > 8) this.points.shift();
    const [since, before] = this.points[0];
    return now > since ? (done - before) / (now - since) : 0;
  }
}

function amount(done, total, unit, speed) {
  const text = unit === "bytes" ? bytes : number;
  const of = total > 0 ? ` of ${text(total)}` : "";
  const rate = speed > 0 ? ` · ${unit === "bytes" ? bytes(speed) : number(Math.round(speed)) + " rows"}/s` : "";
  const left = speed > 0 && total > done ? ` · ${span((total - done) / speed)} left` : "";
  return `${text(done)}${of}${unit === "rows" ? " rows" : ""}${rate}${left}`;
}

// --- an upload ---

function error(problem) {
  return el("div", { class: "error", role: "alert" }, el("div", {}, sentence(problem.detail ?? problem.message)),
    problem.next ? el("div", {}, sentence(problem.next)) : null,
    el("small", {}, `Code: ${problem.code}`));
}

function waiting(view) {
  if (!view.waiting) return null;
  const { message, next_try: next } = view.waiting;
  const [why, advice] = message.split("; next: ");
  return el("div", { class: "waiting", role: "status" }, el("div", {}, sentence(why)),
    advice ? el("div", {}, sentence(advice)) : null,
    el("small", {}, `It goes on by itself.${next ? ` Next try: ${new Date(next).toLocaleTimeString()}.` : ""}`));
}

function stateText(view) {
  if (view.state === "done") {
    return view.rejected > 0 ? `Done, ${plural(view.rejected, "row")} rejected` : "Done";
  }
  const text = sentence(view.state);
  return view.waiting ? `${text}, waiting` : text;
}

function steps(view) {
  const order = ["received", "archived", "loading", "done"];
  const at = { receiving: -1, received: 0, archiving: 0, archived: 1, loading: 2, done: 3 }[view.state] ?? (view.archived_at ? 1 : 0);
  const labels = [
    view.received_at ? `Received ${clock(view.received_at)}${view.announced_at ? ", announced" : ""}` : "Received",
    view.archived_at ? `Archived ${clock(view.archived_at)}` : "Archived",
    "Loaded", view.state === "done" ? `Done ${clock(view.finished_at)}` : "Done",
  ];
  return el("ol", { class: "steps" }, ...order.map((_, step) => {
    const past = view.state === "done" || step <= at && !(step === at && view.state === "loading");
    const now = !past && OPEN.has(view.state) && (step === at + 1 || view.state === "loading" && step === 2);
    return el("li", { class: past ? "past" : now ? "now" : "", "aria-current": now ? "step" : null }, labels[step]);
  }));
}

function counts(view) {
  const shown = [["Read", view.read], ["New", view.inserted], ["Replaced", view.replaced], ["Duplicates", view.duplicates], ["Rejected", view.rejected]];
  if (view.read === 0 && view.state !== "done") return null;
  return el("dl", { class: "counts" }, ...shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, number(value)))));
}

function reasons(view) {
  if (!view.reasons.length) return null;
  const rows = view.reasons.map((reason) => el("tr", {}, el("td", {}, number(reason.count)), el("td", {}, reason.field === "row" ? "whole row" : reason.field),
    el("td", {}, reason.code.replaceAll("_", " ")), el("td", {}, `line ${number(reason.first_line)}: ${reason.example}`)));
  return el("div", { class: "scroll" }, el("table", {}, el("caption", { class: "quiet" }, "Rejected rows by reason"),
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

// What a remark says to type is done here with the options and a button.
function onPage(remark) {
  return sentence(remark).replace(/userdata again \S+((?: --\S+ \S+)+)/, (_, flags) => {
    // A value in capitals stands for what only the reader knows.
    const chosen = [...flags.matchAll(/--(\S+) (\S+)/g)].map(([, name, value]) => /^[A-Z]+$/.test(value) ? `the ${name}` : `${name} ${value}`);
    return `choose ${chosen.join(" and ")} in the options above, then load it again`;
  });
}

function details(view) {
  const looks = view.looks_like && !view.remarks.length ? `${plural(view.undecodable, "row")} cannot be decoded; they look like ${view.looks_like}.` : null;
  return [
    steps(view),
    waiting(view),
    view.error ? error(view.error) : null,
    counts(view),
    ...[looks, ...(view.remarks ?? []).map(onPage)].filter(Boolean).map((text) => el("p", {}, text)),
    times(view),
    reasons(view),
    el("p", {}, el("small", {}, `${view.size === null ? "" : bytes(view.size) + " · "}from ${view.sender} · ${view.id}`)),
  ].filter(Boolean);
}

function links(view) {
  const shown = [["rejects", "Download rejected rows"], ["receipt", "Receipt"]];
  return shown.filter(([name]) => view.links[name]).map(([name, text]) => el("a", { href: view.links[name], download: name === "rejects" }, text));
}
