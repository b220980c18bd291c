// The state of uploads as it changes: from the server's events; while there are none, by asking again.

import { ask } from "./server.js";

const ASK_MS = 1000;
const AGAIN_MS = 5000;
// A browser has few connections to a server, and each page that listens holds one: a page out of sight gives it back.
const HIDDEN_MS = 60_000;

const followed = new Map();
const watchers = new Set();
let source;
let polling;
let turns = 0;
let hiding;

// When the last event of an upload came: an answer that was asked for before may be older.
const heard = new Map();
const HEARD_MOST = 2000;

export const heardSince = (id, since) => (heard.get(id) ?? -1) >= since;

function hear(view) {
  if (heard.size >= HEARD_MOST) heard.clear();
  heard.set(view.id, performance.now());
  tell(view);
}

function tell(view) {
  for (const watcher of watchers) watcher(view);
  for (const follower of followed.get(view.id) ?? []) follower(view);
}

async function refresh(id) {
  const since = performance.now();
  try {
    const view = await ask(`/uploads/${id}`);
    if (!heardSince(id, since)) tell(view);
  } catch (problem) {
    if (!problem.passes) for (const follower of followed.get(id) ?? []) follower(null, problem);
  }
}

// Calls `follower(view)` with the present state and each change. Gives what ends that.
export function follow(id, follower) {
  const all = followed.get(id) ?? new Set();
  followed.set(id, all.add(follower));
  refresh(id);
  return () => {
    all.delete(follower);
    if (!all.size && followed.get(id) === all) followed.delete(id);
  };
}

// Calls `watcher(view)` for every upload that changes.
export function watch(watcher) {
  watchers.add(watcher);
}

// What ended while no events came was told to nobody.
function catchUp() {
  for (const id of followed.keys()) refresh(id);
  document.dispatchEvent(new CustomEvent("caught-up"));
}

function poll() {
  if (polling) return;
  polling = setInterval(() => {
    turns += 1;
    if (document.hidden) return;
    for (const id of followed.keys()) refresh(id);
    if (turns % 5 === 0) document.dispatchEvent(new CustomEvent("caught-up"));
  }, ASK_MS);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => source?.close(), HIDDEN_MS);
  } else if (source?.readyState === EventSource.CLOSED) {
    connect();
  }
});

// A session that ended ended the events, too.
document.addEventListener("signed-in", () => { if (source) connect(); });

// It broke off while it arrived, or was taken back.
function lost({ id }) {
  if (followed.has(id)) refresh(id);
  document.dispatchEvent(new CustomEvent("caught-up"));
}

// What the database says that does not answer; nothing when it does again.
function waits(waiting) {
  if (waiting) document.dispatchEvent(new CustomEvent("waiting", { detail: waiting }));
  else catchUp();
}

export function connect() {
  source?.close();
  source = new EventSource("/events");
  for (const [name, heed] of Object.entries({ upload: hear, gone: lost, waiting: waits })) {
    source.addEventListener(name, (event) => heed(JSON.parse(event.data)));
  }
  source.addEventListener("open", () => {
    clearInterval(polling);
    polling = undefined;
    catchUp();
  });
  source.addEventListener("error", () => {
    poll();
    // A cut line is taken up by the browser itself; what was refused is not.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => { if (!document.hidden) connect(); }, AGAIN_MS);
  });
}
