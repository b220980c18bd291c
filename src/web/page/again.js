// An upload's bytes once more with other options, which are shown at work before anything is done.

import { button, el, replace, say, singly } from "./dom.js";
import { END_BYTES } from "./ends.js";
import { OptionsForm } from "./form.js";
import { error } from "./parts.js";
import * as preview from "./preview.js";
import { ask, noConnection, problemOf } from "./server.js";

const TYPING_MS = 300;

// The first bytes of what was sent.
async function beginning(view) {
  const answer = await fetch(`/uploads/${view.id}/content`, { headers: { Range: `bytes=0-${END_BYTES - 1}` } }).catch(() => { throw noConnection(); });
  if (!answer.ok) throw problemOf(answer.status, await answer.json().catch(() => null));
  return answer.blob();
}

export class Again {
  #view; #form; #found; #shown; #head; #turn = 0; #typing;

  constructor(view, { begun, closed }) {
    this.#view = view;
    this.#form = new OptionsForm(() => { clearTimeout(this.#typing); this.#typing = setTimeout(() => this.#look(), TYPING_MS); });
    this.#form.show(view.options, null, null);
    this.#found = el("p", { class: "found", role: "status" });
    this.#shown = el("div", {});
    this.node = el("section", { class: "again", "aria-label": `Load ${view.filename} again` },
      el("p", {}, "The same bytes are read once more; nothing is sent. What is not changed stays as it was."),
      this.#form.node, this.#found, this.#shown,
      el("div", { class: "actions" }, button("Load again", singly(() => this.#load(begun, closed)), { class: "main" }), button("Close", closed)));
    this.#look();
  }

  async #look() {
    this.#turn += 1;
    const turn = this.#turn;
    try {
      this.#head ??= await beginning(this.#view);
      const complete = this.#view.size <= END_BYTES;
      const query = this.#asked();
      query.set("complete", String(complete));
      const seen = await ask(`/preview?${query}`, { method: "POST", body: this.#head });
      if (turn !== this.#turn) return;
      const all = { ...seen, complete, packed: /\.gz$/i.test(this.#view.filename) };
      say(this.#found, `Found: ${preview.found(all, this.#view.size)}`);
      this.#form.show(seen.options, seen.columns, seen.delimiter);
      const notes = preview.notes(all, {
        zone: () => this.#form.focus("zone"),
        read: (changed) => {
          this.#form.take(changed);
          this.#look();
        },
      });
      replace(this.#shown, ...notes, seen.layout && !seen.broken ? preview.table(all) : "");
    } catch (problem) {
      if (turn !== this.#turn) return;
      say(this.#found, "");
      if (problem.found) this.#form.show(problem.found.options, problem.found.columns, problem.found.delimiter);
      this.#shown.replaceChildren(error(problem));
    }
  }

  // A preview begins with the server's options; these are the upload's own, and what was changed over them.
  #asked() {
    const { columns, formats, delimiter, ...options } = this.#view.options;
    const query = new URLSearchParams(Object.entries(options).map(([name, value]) => [name, String(value)]));
    query.set("delimiter", delimiter ?? "auto");
    query.set("columns", Object.entries(columns).map(([field, column]) => `${field}=${column}`).join(","));
    for (const format of formats) query.append("formats", format);
    const changed = this.#form.query();
    for (const name of new Set(changed.keys())) query.delete(name);
    for (const [name, value] of changed) query.append(name, value);
    return query;
  }

  async #load(begun, closed) {
    try {
      begun(await ask(`/uploads/${this.#view.id}/again?${this.#form.query()}`, { method: "POST" }));
      closed();
    } catch (problem) {
      this.#shown.replaceChildren(error(problem));
    }
  }
}
