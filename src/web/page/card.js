// One upload among the current ones: its name, state, progress, everything known of it, and what one may do.

import * as begun from "./begun.js";
import { $, announce, button, el, refresh, replace, say, takeAway } from "./dom.js";
import { actions, actionsKey } from "./actions.js";
import { follow } from "./live.js";
import { error, notice } from "./parts.js";
import { account } from "./session.js";
import { Speed, amount } from "./words.js";
import { details, isOpen, stageText, stateText } from "./view.js";

const cards = new Map();

export const cardOf = (id) => cards.get(id);

export class Card {
  #title; #state; #bar; #line; #body; #buttons; #place; #speed = new Speed(); #stage; #unfollow; #told;

  constructor(name) {
    this.name = name;
    this.#title = el("h3", { tabindex: "-1" }, name);
    this.#state = el("span", { class: "state" });
    this.#bar = el("progress", { max: "1", "aria-label": `Progress of ${name}` });
    this.#line = el("p", { class: "quiet line" });
    this.#body = el("div", {});
    this.#buttons = el("div", {});
    this.#place = el("div", {});
    this.node = el("article", { class: "card", "aria-label": name },
      el("div", { class: "head" }, this.#title, this.#state), this.#bar, this.#line, this.#body, this.#buttons, this.#place);
    $("current").prepend(this.node);
    $("current-section").hidden = false;
  }

  // A line of state, with or without progress (0 to 1; undefined: going, without an end in sight; null: not going).
  say(text, { kind = "", progress, line = "", body = [], buttons = [] } = {}) {
    say(this.#state, text);
    this.#state.className = `state ${kind}`;
    this.progress(progress, line);
    replace(this.#body, ...body);
    // The same buttons stay where they are, with the focus.
    const shown = this.#buttons.firstElementChild?.children ?? [];
    if (buttons.length && shown.length === buttons.length && buttons.every((one, at) => shown[at] === one)) return;
    replace(this.#buttons, el("div", { class: "actions" }, ...buttons));
  }

  focus() {
    this.#title.focus();
  }

  progress(progress, line) {
    this.#bar.hidden = progress === null;
    if (typeof progress === "number") this.#bar.value = progress;
    else this.#bar.removeAttribute("value");
    say(this.#line, line);
  }

  // Not accepted, or ended before it arrived: stays until it is dismissed.
  refuse(problem, again) {
    this.say("Not accepted", { kind: "refused", progress: null, body: [error(problem, { safe: "Nothing of it was stored in the table." })],
      buttons: [again && button("Send again", again), button("Dismiss", () => this.dismiss())].filter(Boolean) });
    announce(`${this.name}: ${problem.detail}`);
  }

  // Is the card of this upload from now on.
  claim(id) {
    this.id = id;
    cards.set(id, this);
  }

  // Follows an upload to its end, and further if it is opened again. `remarks(view)`: what else there is to say of it.
  follow(id, remarks = () => []) {
    this.#unfollow?.();
    this.claim(id);
    this.#unfollow = follow(id, (view, problem) => (view ? this.#show(view, remarks) : this.refuse(problem)));
  }

  #show(view, remarks) {
    const ended = !isOpen(view);
    const { progress: made } = view;
    if (made && this.#stage !== made.stage) { this.#stage = made.stage; this.#speed = new Speed(); }
    const line = made ? `${stageText(made)}: ${amount(made.done, made.total, made.unit, this.#speed.at(made.done))}` : "";
    const share = made && made.total > 0 ? Math.min(1, made.done / made.total) : undefined;
    say(this.#state, stateText(view));
    this.#state.className = `state ${view.state}`;
    this.progress(ended || view.waiting ? null : share, line);
    this.#stay(view, remarks);
    if (ended && this.#told !== view.state) announce(`${view.filename}: ${stateText(view)}`);
    // Another visit shows what went wrong, and the history the rest.
    if (view.state === "done" && this.#told !== "done") begun.forget(view.id);
    this.#told = view.state;
  }

  #stay(view, remarks) {
    const more = remarks(view);
    const safe = isOpen(view) && view.state !== "receiving" && !view.waiting;
    refresh(this.#body, [...details(view),
      ["more", more, () => (more.length ? el("div", {}, ...more.map((text) => notice(text))) : null)],
      ["safe", safe, () => (safe ? el("p", { class: "quiet" }, "It is stored safely: you may close this page, it goes on by itself.") : null)]]);
    const opened = (other) => (other.id === view.id ? this.#show(other, remarks) : showCard(other));
    const all = () => [...actions(view, { begun: opened, place: this.#place }), !isOpen(view) && button("Dismiss", () => this.dismiss())];
    refresh(this.#buttons, [["all", actionsKey(view), () => el("div", { class: "actions" }, ...all())]]);
  }

  // Takes it away; the history has it.
  dismiss() {
    begun.forget(this.id);
    this.remove();
  }

  remove() {
    this.#unfollow?.();
    if (cards.get(this.id) === this) cards.delete(this.id);
    takeAway(this.node);
    $("current-section").hidden = !$("current").hasChildNodes();
  }
}

// Shows an upload that was opened again or made here on a card of its own.
export function showCard(view) {
  if (cards.has(view.id)) return;
  begun.remember({ id: view.id, name: view.filename, account: account().name, sent: true });
  new Card(view.filename).follow(view.id);
}
