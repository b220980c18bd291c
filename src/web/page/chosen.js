// Files that were chosen and not sent yet: each with what the server makes of its beginning, how it is read, and whether
// the same was sent before.

import { $, announce, button, el, replace, say, takeAway } from "./dom.js";
import * as begun from "./begun.js";
import { head, known } from "./ends.js";
import { OptionsForm } from "./form.js";
import { showUpload } from "./history.js";
import { error, notice } from "./parts.js";
import * as preview from "./preview.js";
import * as remembered from "./remembered.js";
import { ask, patience } from "./server.js";
import { account } from "./session.js";
import { bytes, when } from "./words.js";

const TYPING_MS = 300;
const RETRY_MS = 3000;

class Chosen {
  #turn = 0; #typing; #form; #found; #notes; #table; #fold; #twin; #looked; #asked; #like; #remember; #recalled;

  constructor(file, { removed, all }) {
    this.file = file;
    this.refused = false;
    this.twins = [];
    this.#form = new OptionsForm(() => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#lookAgain(), TYPING_MS);
    });
    this.#found = el("p", { class: "found", role: "status" }, "Looking at its first rows …");
    this.#twin = el("div", {});
    this.#notes = el("div", {});
    this.#table = el("div", {});
    this.#recalled = el("div", {});
    this.#remember = el("input", { type: "checkbox" });
    this.#fold = el("details", { class: "change" }, el("summary", {}, "Change how it is read"), this.#form.node,
      el("label", { class: "check" }, this.#remember, " Remember for files like this"),
      button("Read all chosen files like this", () => all(this.#form.changed, this), { class: "plain for-all" }));
    this.node = el("article", { class: "chosen", "aria-label": file.name },
      el("div", { class: "head" }, el("h3", {}, file.name, " ", el("small", {}, bytes(file.size))),
        button("Remove", () => { takeAway(this.node); removed(this); }, { "aria-label": `Remove ${file.name}` })),
      this.#found, this.#twin, this.#recalled, this.#notes, this.#fold, this.#table);
    this.#lookAgain();
    this.#asked = this.#askKnown();
  }

  get options() {
    return this.#form.query();
  }

  take(changed) {
    this.#form.take(changed);
    this.#lookAgain();
  }

  // It is sent as it is read now; says so of files like it, when asked to.
  sent() {
    if (!this.#like) return;
    if (this.#remember.checked) remembered.remember(this.#like, this.#form.changed);
    else if (this.#recalled.hasChildNodes()) remembered.forget(this.#like);
  }

  // The first time its columns are known: whether files like this were read in another way before.
  #recall(columns) {
    if (this.#like !== undefined || !columns) return;
    this.#like = remembered.likeness(columns);
    const changed = this.#like && remembered.recall(this.#like);
    if (!changed || Object.keys(this.#form.changed).length) return;
    const said = Object.entries(changed).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`).join(", ");
    this.#remember.checked = true;
    this.#recalled.replaceChildren(notice(`Read as you chose for files like this: ${said}.`));
    this.take(changed);
  }

  #lookAgain() {
    clearTimeout(this.#typing);
    this.#typing = undefined;
    this.#looked = this.#look();
    // What could not be told before may be told now.
    if (this.sample === null) this.#asked = this.#askKnown();
  }

  // Resolves when all is known that can be.
  async settle() {
    if (this.#typing !== undefined || this.sample === null) this.#lookAgain();
    // Looking may lead to looking again.
    for (let looked; looked !== this.#looked;) {
      looked = this.#looked;
      await looked;
    }
    await this.#asked;
  }

  // Has the server read the beginning with the options as they are now.
  async #look() {
    this.#turn += 1;
    const turn = this.#turn;
    const query = this.options;
    try {
      const { bytes: body, complete } = await head(this.file);
      query.set("complete", String(complete));
      const seen = await ask(`/preview?${query}`, { method: "POST", body });
      if (turn === this.#turn) this.#show({ ...seen, complete, packed: /\.gz$/i.test(this.file.name) });
    } catch (problem) {
      if (turn === this.#turn) this.#refuse(problem, turn);
    }
  }

  #show(seen) {
    this.refused = Boolean(seen.broken);
    this.#recall(seen.columns);
    say(this.#found, `Found: ${preview.found(seen, this.file.size)}`);
    this.#form.show(seen.options, seen.columns, seen.delimiter);
    replace(this.#notes, ...preview.notes(seen, {
      zone: () => {
        this.#fold.open = true;
        this.#form.focus("zone");
      },
      read: (changed) => this.take(changed),
    }));
    this.#table.replaceChildren(seen.layout && !seen.broken ? preview.table(seen) : "");
  }

  #refuse(problem, turn) {
    say(this.#found, problem.passes ? "Its first rows could not be read yet." : "It cannot be read like this.");
    replace(this.#notes, error(problem));
    this.#table.replaceChildren();
    // Without a server nobody can tell; it is refused when it is sent, if it must be.
    this.refused = !problem.passes;
    this.#recall(problem.found?.columns);
    if (problem.found) this.#form.show(problem.found.options, problem.found.columns, problem.found.delimiter);
    if (this.refused && problem.code !== "file_changed") this.#fold.open = Boolean(problem.found?.columns.length) || this.#fold.open;
    announce(`${this.file.name}: ${problem.detail}`);
    if (!problem.passes) return;
    patience(RETRY_MS).over.then(() => { if (turn === this.#turn && this.node.isConnected) this.#lookAgain(); });
  }

  // Whether the same was sent before, here or by anybody whose uploads we see; and whether it was begun here.
  async #askKnown() {
    const answer = await known(this.file).catch(() => ({ sample: null, uploads: [] }));
    this.sample = answer.sample;
    const named = begun.of(account().name).filter((entry) => !entry.sent && entry.name === this.file.name);
    const [going, mine] = [named.filter(begun.isAlive), named.filter((entry) => !begun.isAlive(entry))];
    this.begun = mine.find((entry) => begun.same(entry, this.file, this.sample));
    const twice = going.some((entry) => begun.same(entry, this.file, this.sample));
    const other = this.sample && !this.begun && mine[0];
    this.twins = answer.uploads.filter((view) => view.id !== this.begun?.id && view.state !== "receiving");
    const parts = [];
    if (this.begun) parts.push(this.#continues());
    if (twice) parts.push(notice("This file is being sent already. Uploaded from here, it is sent a second time."));
    if (other) parts.push(notice(`An upload named ${other.name} was begun here, but ${begun.difference(other, this.file)}. It is sent as a new one.`));
    if (this.twins.length) parts.push(this.#sentBefore());
    this.#twin.replaceChildren(...parts);
  }

  #continues() {
    const share = el("span", {}, "");
    const entry = this.begun;
    ask(`/uploads/${entry.id}`).then((view) => {
      if (view.progress?.stage === "receive" && entry.size) share.textContent = ` at ${Math.floor((100 * view.progress.done) / entry.size)} %`;
    }).catch(() => {});
    const over = button("Send it from the start instead", () => {
      this.begun = undefined;
      this.#fold.hidden = false;
      this.#fold.querySelector("summary").focus();
      line.remove();
    }, { class: "plain" });
    this.#fold.hidden = true;
    const line = notice("This upload was begun before: it continues where it was", share, ", read as was chosen then. ", over);
    return line;
  }

  #sentBefore() {
    const [first] = this.twins;
    const when_ = when(first.received_at ?? first.started_at);
    return notice(`A file with the same content was sent on ${when_} as ${first.filename} (${first.state}). Sent again, it stores no row twice. `,
      button("See that upload", () => showUpload(first.id), { class: "plain" }));
  }
}

let list = [];

function removed(one) {
  list = list.filter((other) => other !== one);
  update();
}

function update() {
  $("chosen").classList.toggle("several", list.length > 1);
  $("send").hidden = list.length === 0;
  say($("send"), list.length > 1 ? `Upload ${list.length} files` : "Upload");
  say($("hint"), "");
}

export function choose(files) {
  for (const file of files) {
    const one = new Chosen(file, { removed, all: (changed, from) => list.forEach((other) => other !== from && other.take(changed)) });
    list.push(one);
    $("chosen").append(one.node);
  }
  update();
}

// Those that can be sent; what cannot be read stays for its owner to put right.
export async function takeReady() {
  await Promise.all(list.map((one) => one.settle()));
  const ready = list.filter((one) => !one.refused);
  list = list.filter((one) => one.refused);
  ready.forEach((one) => {
    one.sent();
    takeAway(one.node);
  });
  update();
  if (list.length) say($("hint"), `${list.length === 1 ? "One file" : `${list.length} files`} cannot be read as chosen: change how, or remove ${list.length === 1 ? "it" : "them"}.`);
  return ready;
}
