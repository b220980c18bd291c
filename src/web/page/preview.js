// A file's beginning as the server reads it: what was found, the first rows and what becomes of each.

import { button, el } from "./dom.js";
import { error, notice, time } from "./parts.js";
import { bytes, number, plural, sentence } from "./words.js";

const SIGNS = { ",": "comma", ";": "semicolon", "\\t": "tab", "|": "vertical bar" };
const ROWS_FIRST = 6;

// "Comma · UTF-8 · the first line names the columns · about 48,000,000 rows · CRLF"
export function found(seen, size) {
  const rows = seen.rows_seen > 0 && seen.bytes_seen > 0 ? Math.round((size / seen.bytes_seen) * seen.rows_seen) : 0;
  const whole = seen.complete ? plural(seen.rows_seen, "row") : rows > 0 && !seen.packed ? `about ${plural(rough(rows), "row")}` : null;
  return [
    SIGNS[seen.delimiter] ?? seen.delimiter ?? "delimiter not known yet", seen.options.encoding,
    seen.options.header ? "the first line names the columns" : "without a header",
    whole, seen.line_end, size === undefined ? null : bytes(size),
  ].filter(Boolean).map((text, at) => (at === 0 ? sentence(text) : text)).join(" · ");
}

// Two digits are all that an estimate is worth.
function rough(value) {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 1);
  return Math.round(value / unit) * unit;
}

// Times of the rows seen that only the option tells the zone of.
export function assumed(times) {
  const formats = Object.entries(times.formats ?? {}).filter(([format]) => !/%(:*z|Z|\+|s)/.test(format));
  return times.zone + formats.reduce((sum, [, count]) => sum + count, 0);
}

const PARTS = { s: "seconds since 1970", d: "day", m: "month", Y: "year", y: "year", H: "hour", I: "hour", M: "minute", S: "second", p: "AM/PM", z: "offset", ".f": ".fraction" };

// "%d.%m.%Y %H:%M" as "day.month.year hour:minute".
function inWords(format) {
  return format.replace(/%(\.f|[a-zA-Z])/g, (part, name) => PARTS[name] ?? part);
}

// What a person should know of it; `zone` leads to where that is changed, `read` has it read with other options.
export function notes(seen, { zone, read }) {
  const shown = [];
  if (seen.broken) {
    shown.push(error({ code: "csv_broken", detail: `The file is damaged: ${seen.broken}.`, next: "Mend that line and choose the file again; as it is, nothing of it would be stored." }));
  }
  if (seen.undecodable > 0) {
    const looks = seen.looks_like ? `; they look like ${seen.looks_like}. Choose that as the encoding.` : ". Choose another encoding.";
    shown.push(notice(`${sentence(plural(seen.undecodable, "row"))} cannot be decoded as ${seen.options.encoding}${looks}`));
  }
  const wanted = seen.format_wanted;
  if (wanted.formats.length > 0) {
    const choices = wanted.formats.map((one) => button(`Read as ${inWords(one)}`, () => read({ formats: [...seen.options.formats, one].join("\n") }), { class: "plain", title: one }));
    shown.push(notice(`${sentence(plural(wanted.rows, "time"))} of the rows read here can be read only when their form is known. `, ...choices));
  }
  const zoneless = assumed(seen.times);
  if (zoneless > 0) {
    shown.push(el("p", { class: "quiet" }, `${sentence(plural(zoneless, "time"))} of the rows read here ${zoneless === 1 ? "has" : "have"} no zone: read as ${seen.options.zone}. `,
      button("Change the zone", zone, { class: "plain" })));
  }
  if (seen.duplicates > 0) {
    const kept = seen.options.existing === "replace" ? "last" : "first";
    shown.push(el("p", { class: "quiet" }, `${sentence(plural(seen.duplicates, "row"))}${seen.complete ? "" : " read here"} ${seen.duplicates === 1 ? "has an id" : "have ids"} that another row has, too: the ${kept} row of each id is stored.`));
  }
  if (seen.rejected > 0) {
    const why = seen.reasons.slice(0, 3).map((reason) => `line ${number(reason.first_line)}: ${reason.example}`).join("; ");
    const of = seen.complete ? "" : " read here";
    shown.push(notice(seen.rejected < seen.rows_seen
      ? `${number(seen.rejected)} of the ${plural(seen.rows_seen, "row")}${of} cannot be stored (${why}). The others are loaded all the same; the rejected ones can be downloaded and mended.`
      : `No row${of} can be stored (${why}). Change how the file is read, or mend it first.`));
  }
  return shown;
}

function value(given, kept) {
  if (given === kept) return [kept];
  return [kept, el("small", { class: "was" }, given === null || given === "" ? "empty" : given)];
}

function becomes({ line, reject, stored_instead: other }) {
  if (reject) return `rejected: ${reject.reason}`;
  if (!other) return "stored";
  return other < line ? `duplicate: line ${number(other)} has this id` : `replaced by line ${number(other)}`;
}

function row(seen) {
  const { line, given, user, reject } = seen;
  const cells = ["id", "name", "time_of_start"].map((field, at) => {
    const before = given[at] ?? "";
    if (reject) return el("td", { class: reject.field === field ? "fault" : "" }, before);
    if (field === "time_of_start") return el("td", { class: "moment" }, ...value(before, time(user[field])));
    return el("td", {}, ...value(before, user[field]));
  });
  return el("tr", { class: reject ? "reject" : seen.stored_instead ? "lost" : "" }, el("td", { class: "line" }, number(line)), ...cells,
    el("td", { class: "outcome" }, becomes(seen)));
}

// The first rows; more of them on request.
export function table(seen) {
  if (!seen.rows.length) return el("p", { class: "quiet" }, "There are no rows behind the header yet.");
  const names = ["id", "name", "time_of_start"].map((field) => seen.columns.find((column) => column.field === field)?.name ?? field);
  const body = el("tbody", {}, ...seen.rows.slice(0, ROWS_FIRST).map(row));
  const rest = seen.rows.slice(ROWS_FIRST);
  const more = rest.length > 0 && button(`Show ${rest.length} more rows`, () => { body.append(...rest.map(row)); more.remove(); }, { class: "plain" });
  return el("div", {}, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "First rows" }, el("table", { class: "rows" },
    el("caption", {}, "What becomes of the first rows: as stored, and below it as it stands in the file where that differs"),
    el("thead", {}, el("tr", {}, ...["Line", ...names, "Will be"].map((name) => el("th", { scope: "col" }, name)))), body)), more);
}
