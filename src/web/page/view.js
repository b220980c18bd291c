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
  return el("div", { class: "error", role: "alert" }, el("div", {}, problem.detail ?? problem.message),
    problem.next ? el("div", {}, problem.next) : null,
    el("small", {}, `Code: ${problem.code}`));
}

function stateText(view) {
  if (view.state === "done") {
    return view.rejected > 0 ? `Done, ${plural(view.rejected, "row")} rejected` : "Done";
  }
  return view.state[0].toUpperCase() + view.state.slice(1);
}

function steps(view) {
  const order = ["received", "archived", "loading", "done"];
  const at = { receiving: -1, received: 0, archiving: 0, archived: 1, loading: 2, done: 3 }[view.state] ?? (view.archived_at ? 1 : 0);
  const labels = [
    view.announced_at ? `Received, announced ${when(view.announced_at)}` : "Received",
    view.archived_at ? `Archived ${when(view.archived_at)}` : "Archived",
    "Loaded", view.state === "done" ? `Done ${when(view.finished_at)}` : "Done",
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
  const rows = view.reasons.map((reason) => el("tr", {}, el("td", {}, number(reason.count)), el("td", {}, reason.field),
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

function details(view) {
  const looks = view.looks_like && !view.remarks.length ? `${plural(view.undecodable, "row")} cannot be decoded; they look like ${view.looks_like}.` : null;
  return [
    steps(view),
    view.waiting ? el("p", { class: "waiting", role: "status" }, view.waiting.message) : null,
    view.error ? error(view.error) : null,
    counts(view),
    ...[looks, ...(view.remarks ?? [])].filter(Boolean).map((text) => el("p", {}, text)),
    times(view),
    reasons(view),
    el("p", {}, el("small", {}, `${view.size === null ? "" : bytes(view.size) + " · "}from ${view.sender} · ${view.id}`)),
  ].filter(Boolean);
}

function links(view) {
  const shown = [["rejects", "Download rejected rows"], ["receipt", "Receipt"]];
  return shown.filter(([name]) => view.links[name]).map(([name, text]) => el("a", { href: view.links[name], download: name === "rejects" }, text));
}
