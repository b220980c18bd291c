// Sending files: a few at once, each with pause, resume and cancel, until the server has all of it; then its card shows
// what becomes of it. What a reload interrupts is taken up again.

import * as begun from "./begun.js";
import { Card, cardOf } from "./card.js";
import { announce, button, el, replace, singly } from "./dom.js";
import { known } from "./ends.js";
import { error } from "./parts.js";
import { Problem, ask, patience } from "./server.js";
import { account } from "./session.js";
import { Transfer, takeBack } from "./tus.js";
import { Speed, amount, when } from "./words.js";

const AT_ONCE = 2;
const ALIVE_MS = 4000;

const queue = [];
// Jobs that take up the line; one that is paused does not.
const sending = new Set();

// What this tab sends or has shown as interrupted.
const shown = new Set();

export const busy = () => sending.size > 0;

// `job`: {file, options, sample, twins, begun}. Gives its card.
export function enqueue(job) {
  const card = job.card ?? cardOf(job.begun?.id) ?? new Card(job.file.name);
  const waiting = { ...job, card };
  card.say("Waiting for its turn", { progress: null, buttons: [button("Cancel", () => { waiting.cancelled = true; card.remove(); })] });
  queue.push(waiting);
  next();
  return card;
}

function next() {
  while (sending.size < AT_ONCE && queue.length) {
    const job = queue.shift();
    if (job.cancelled) continue;
    sending.add(job);
    send(job).finally(() => leave(job));
  }
}

function leave(job) {
  sending.delete(job);
  next();
}

async function send(job) {
  const { file, card } = job;
  const alive = pulse(() => transfer.id);
  const beats = setInterval(alive, ALIVE_MS);
  const hidden = () => begun.alive(transfer.id, false);
  window.addEventListener("pagehide", hidden);
  const transfer = new Transfer(file, { options: job.options, address: job.begun?.address, told: watchers(job, () => transfer, alive) });
  try {
    await transfer.run();
    begun.sent(transfer.id);
    card.follow(transfer.id, (view) => sameContent(view, job.twins ?? []));
  } catch (problem) {
    // A file that cannot be read any more may be chosen again, and goes on then.
    const changed = problem.code === "file_changed";
    if (changed) begun.alive(transfer.id, false);
    else begun.forget(transfer.id);
    if (problem.code === "stopped") {
      card.remove();
      document.dispatchEvent(new CustomEvent("caught-up"));
      return;
    }
    card.refuse(problem instanceof Problem ? problem : new Problem({ code: "page_error", detail: String(problem) }),
      changed ? null : () => enqueue({ ...job, card, begun: undefined }));
  } finally {
    clearInterval(beats);
    window.removeEventListener("pagehide", hidden);
  }
}

// Other tabs must not offer to go on with what this one sends: told by a timer, and by what is sent, since a tab out of
// sight has slow timers.
function pulse(id) {
  let last = 0;
  return () => {
    if (Date.now() - last < ALIVE_MS) return;
    last = Date.now();
    begun.alive(id(), true);
  };
}

// Why an upload could not be cancelled: it stays, here and on the server.
function notCancelled(problem) {
  const next = problem.status ? problem.next : "Cancel it again when the line is back.";
  return error({ ...problem, next }, { safe: "It is not cancelled: what was sent of it is still on the server." });
}

// How a transfer shows on its card; `alive` is called whenever something was sent.
function watchers(job, transfer, alive) {
  const { file, card, sample } = job;
  const speed = new Speed();
  let sent = 0;
  const cancel = button("Cancel", singly(() => transfer().cancel().catch(pauseNow)));
  const pause = button("Pause", () => pauseNow());
  const resume = button("Resume", () => {
    sending.add(job);
    transfer().resume();
    card.say("Going on", { progress: share(), buttons: [pause, cancel] });
  });
  const share = () => (file.size ? sent / file.size : undefined);
  const line = (rate) => amount(sent, file.size, "bytes", rate);
  // `problem`: why it could not be cancelled.
  function pauseNow(problem) {
    transfer().pause();
    leave(job);
    const kept = transfer().expires && el("p", { class: "quiet" }, `What has arrived is kept until ${when(transfer().expires)}, also when you close this page.`);
    const body = [problem && notCancelled(problem), kept].filter(Boolean);
    card.say("Paused", { progress: share(), line: line(0), body, buttons: [resume, cancel] });
    announce(`${file.name}: paused`);
  }
  return {
    created: (address) => {
      const id = address.split("/").at(-1);
      shown.add(id);
      card.claim(id);
      begun.remember({ id, address, name: file.name, size: file.size, sample, account: account().name, alive: Date.now() });
      if (!sample) known(file).then((answer) => begun.learn(id, answer.sample), () => {});
    },
    goes: () => card.say("Uploading", { progress: share(), buttons: [pause, cancel] }),
    progress: (bytes) => {
      alive();
      sent = bytes;
      if (!transfer().paused) card.progress(share(), sent < file.size ? line(speed.at(sent)) : "All sent; it is being made safe on the server's disk.");
    },
    waits: (problem) => {
      if (transfer().paused) return;
      const gone = problem.status === 0;
      card.say(gone ? "No connection" : "Waiting", { kind: "waits", progress: share(), line: line(0), buttons: [pause, cancel],
        body: [el("div", { class: "waiting", role: "status" }, gone ? "No connection. The upload goes on by itself when the line is back." : `${problem.detail} The upload goes on by itself.`)] });
    },
  };
}

// Said by the two ends before; now that all of it was read, the hash of all of it tells.
function sameContent(view, twins) {
  const twin = view.sha256 && twins.find((other) => other.sha256 === view.sha256);
  return twin ? [`Byte for byte the same as ${twin.filename} of ${when(twin.received_at ?? twin.started_at)} (SHA-256).`] : [];
}

// Shows what was begun in this browser: what waits for its file, and what has been sent and was not seen to its end.
export async function restore() {
  const mine = begun.of(account().name).filter((entry) => !cardOf(entry.id) && !shown.has(entry.id));
  // What another tab sends is its own, unless it stops.
  let again = mine.some(begun.isAlive);
  for (const entry of mine.filter((entry) => !begun.isAlive(entry))) {
    shown.add(entry.id);
    try {
      show(entry, await ask(`/uploads/${entry.id}`));
    } catch (problem) {
      if (problem.code === "no_such_upload") {
        gone(entry);
      } else {
        shown.delete(entry.id);
        again = true;
      }
    }
  }
  if (again) patience(2 * ALIVE_MS).over.then(restore);
}

function show(entry, view) {
  if (view.state === "receiving") interrupted(entry, view);
  else if (view.state === "done") begun.forget(entry.id);
  else new Card(view.filename).follow(view.id);
}

function gone(entry) {
  begun.forget(entry.id);
  if (entry.sent) return;
  const detail = "This upload was begun here and never finished; what was sent of it is gone.";
  new Card(entry.name).refuse(new Problem({ code: "upload_gone", detail, next: "Choose the file again to send it from the start." }));
}

function interrupted(entry, view) {
  const card = new Card(entry.name);
  const note = el("div", {});
  const chooser = el("input", { type: "file", class: "unseen", "aria-label": `The same file again: ${entry.name}` });
  chooser.addEventListener("change", () => {
    const [file] = chooser.files;
    // The same name may be chosen again, and then be another file.
    chooser.value = "";
    if (file) take(card, entry, file, note);
  });
  const share = entry.size ? Math.floor((100 * (view.progress?.done ?? 0)) / entry.size) : 0;
  const kept = view.expires_at ? ` What has arrived is kept until ${when(view.expires_at)}.` : "";
  const cancel = button("Cancel", singly(() => drop(entry, note, () => card.remove())));
  card.say("Interrupted", { progress: share / 100, buttons: [cancel],
    body: [el("p", {}, `Session restored. Choose the same file again to continue at ${share} %.${kept}`),
      el("label", { class: "button" }, "Choose the same file again", chooser), note] });
  card.claim(entry.id);
}

// Takes back what was begun, and then goes on; where that fails, `note` says why.
async function drop(entry, note, then) {
  try {
    await takeBack(entry.address);
  } catch (problem) {
    replace(note, notCancelled(problem));
    return;
  }
  begun.forget(entry.id);
  then();
}

// A file that is said to be the one that was begun.
async function take(card, entry, file, note) {
  const found = await known(file).catch((problem) => replace(note, error({ ...problem, next: "Choose the file again." })));
  if (!found) return;
  const { sample, uploads } = found;
  const job = { file, card, sample, twins: uploads.filter((view) => view.state !== "receiving"), options: new URLSearchParams() };
  if (begun.same(entry, file, sample)) return enqueue({ ...job, begun: entry });
  const over = button("Start over with this file", singly(() => drop(entry, note, () => enqueue(job))));
  const detail = `${begun.difference(entry, file)}.`;
  replace(note, error({ code: "another_file", detail, next: "Choose the one that was begun, or start over." }), over);
}
