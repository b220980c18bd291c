// Sending files: a few at once, each with pause, resume and cancel, until the server has all of it; then its card shows
// what becomes of it. What a reload interrupts is taken up again.

import * as begun from "./begun.js";
import { Card, cardOf } from "./card.js";
import { announce, button, el } from "./dom.js";
import { known } from "./ends.js";
import { error } from "./parts.js";
import { Problem, ask } from "./server.js";
import { account } from "./session.js";
import { Transfer } from "./tus.js";
import { Speed, amount, when } from "./words.js";

const AT_ONCE = 2;
const ALIVE_MS = 4000;

const queue = [];
// Jobs that take up the line; one that is paused does not.
const sending = new Set();

// What this tab sends or has shown as interrupted.
const shown = new Set();

export const busy = () => sending.size > 0;

// `job`: {file, options, sample, twins, begun}
export function enqueue(job) {
  const card = job.card ?? cardOf(job.begun?.id) ?? new Card(job.file.name);
  const waiting = { ...job, card };
  card.say("Waiting for its turn", { progress: null, buttons: [button("Cancel", () => { waiting.cancelled = true; card.remove(); })] });
  queue.push(waiting);
  next();
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
  // Other tabs must not offer to go on with what this one sends.
  const pulse = setInterval(() => begun.alive(transfer.id, true), ALIVE_MS);
  const hidden = () => begun.alive(transfer.id, false);
  window.addEventListener("pagehide", hidden);
  const transfer = new Transfer(file, { options: job.options, address: job.begun?.address, told: watchers(job, () => transfer) });
  try {
    await transfer.run();
    begun.sent(transfer.id);
    card.follow(transfer.id, (view) => sameContent(view, job.twins ?? []));
  } catch (problem) {
    if (transfer.id) begun.forget(transfer.id);
    if (problem.code === "stopped") {
      card.remove();
      document.dispatchEvent(new CustomEvent("caught-up"));
      return;
    }
    card.refuse(problem instanceof Problem ? problem : new Problem({ code: "page_error", detail: String(problem) }),
      () => enqueue({ ...job, card, begun: undefined }));
  } finally {
    clearInterval(pulse);
    window.removeEventListener("pagehide", hidden);
  }
}

// How a transfer shows on its card.
function watchers(job, transfer) {
  const { file, card, sample } = job;
  const speed = new Speed();
  let sent = 0;
  const cancel = button("Cancel", () => { cancel.disabled = true; transfer().cancel(); });
  const pause = button("Pause", () => { transfer().pause(); leave(job); paused(); });
  const resume = button("Resume", () => {
    sending.add(job);
    transfer().resume();
    card.say("Going on", { progress: share(), buttons: [pause, cancel] });
    pause.focus();
  });
  const share = () => (file.size ? sent / file.size : undefined);
  const line = (rate) => amount(sent, file.size, "bytes", rate);
  function paused() {
    const kept = transfer().expires && el("p", { class: "quiet" }, `What has arrived is kept until ${when(transfer().expires)}, also when you close this page.`);
    card.say("Paused", { progress: share(), line: line(0), body: kept ? [kept] : [], buttons: [resume, cancel] });
    resume.focus();
    announce(`${file.name}: paused`);
  }
  return {
    created: (address) => {
      const id = address.split("/").at(-1);
      shown.add(id);
      card.claim(id);
      begun.remember({ id, address, name: file.name, size: file.size, sample, account: account().name, alive: Date.now() });
    },
    goes: () => card.say("Uploading", { progress: share(), buttons: [pause, cancel] }),
    progress: (bytes) => {
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
  if (mine.some(begun.isAlive)) setTimeout(restore, 2 * ALIVE_MS);
  for (const entry of mine.filter((entry) => !begun.isAlive(entry))) {
    shown.add(entry.id);
    const view = await ask(`/uploads/${entry.id}`).catch((problem) => (problem.passes ? undefined : null));
    if (view?.state === "receiving") interrupted(entry, view);
    else if (view && view.state !== "done") new Card(view.filename).follow(view.id);
    else if (view !== undefined) begun.forget(entry.id);
    if (view === null && !entry.sent) gone(entry);
  }
}

function gone(entry) {
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
  const forgetIt = async () => {
    await new Transfer(null, { address: entry.address }).cancel();
    begun.forget(entry.id);
    card.remove();
  };
  card.say("Interrupted", { progress: share / 100, buttons: [button("Cancel", forgetIt)],
    body: [el("p", {}, `Session restored. Choose the same file again to continue at ${share} %.${kept}`),
      el("label", { class: "button" }, "Choose the same file again", chooser), note] });
  card.claim(entry.id);
}

// A file that is said to be the one that was begun.
async function take(card, entry, file, note) {
  const { sample, uploads } = await known(file).catch(() => ({ sample: null, uploads: [] }));
  const job = { file, card, sample, twins: uploads.filter((view) => view.state !== "receiving"), options: new URLSearchParams() };
  if (begun.same(entry, file, sample)) return enqueue({ ...job, begun: entry });
  const detail = `This is not the same file: ${begun.difference(entry, file)}.`;
  const over = button("Start over with this file", () => {
    begun.forget(entry.id);
    new Transfer(null, { address: entry.address }).cancel();
    enqueue(job);
  });
  note.replaceChildren(error({ code: "another_file", detail, next: "Choose the one that was begun, or start over." }), over);
}
