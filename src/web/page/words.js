// Numbers, sizes, spans and times as people read them.

export const number = (value) => value.toLocaleString("en");
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export function bytes(value) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (value >= 1000 && at < units.length - 1) { value /= 1000; at += 1; }
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1).replace(".0", "")} ${units[at]}`;
}

export function span(seconds) {
  const s = Math.max(1, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
}

export const when = (text) => (text ? new Date(text).toLocaleString() : "");

// Only the time, where the date is today's.
export function clock(text) {
  const at = new Date(text);
  return at.toDateString() === new Date().toDateString() ? at.toLocaleTimeString() : at.toLocaleString();
}

// How fast something goes, over the last few seconds; starts anew where it goes back.
export class Speed {
  #points = [];

  at(done) {
    const now = performance.now() / 1000;
    if (this.#points.length && done < this.#points.at(-1)[1]) this.#points = [];
    this.#points.push([now, done]);
    while (this.#points.length > 2 && now - this.#points[0][0] > 8) this.#points.shift();
    const [since, before] = this.#points[0];
    return now - since > 0.2 ? (done - before) / (now - since) : 0;
  }
}

// "3.1 GB of 8.4 GB · 62 MB/s · 1 min 25 s left"
export function amount(done, total, unit, speed) {
  const text = unit === "bytes" ? bytes : number;
  const of = total > 0 ? ` of ${text(total)}` : "";
  if (unit === "tasks") return `${number(done)}${of} tasks of Spark`;
  const rate = speed > 0 ? ` · ${unit === "bytes" ? bytes(speed) : `${number(Math.round(speed))} rows`}/s` : "";
  const left = speed > 0 && total > done ? ` · ${span((total - done) / speed)} left` : "";
  return `${text(done)}${of}${unit === "rows" ? " rows" : ""}${rate}${left}`;
}
