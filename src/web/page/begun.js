// Uploads that were begun in this browser: remembered, so that another visit to the page goes on where they were, and
// shows those whose end nobody saw. What a file is called does not make it the same file: its size and both its ends do.

import { list } from "./kept.js";

// Each {id, address, name, size, sample, account, alive, sent}.
const { all, keep } = list("userdata.begun", 50);

// Of what another tab sends right now this is renewed.
const ALIVE_MS = 15_000;

// Those of an account.
export const of = (account) => all().filter((entry) => entry.account === account);

export function remember(entry) {
  const entries = [...all().filter((other) => other.id !== entry.id), entry];
  // The first ones go where there are too many: what is still to be sent goes last.
  keep([...entries.filter(({ sent }) => sent), ...entries.filter(({ sent }) => !sent)]);
}

function change(id, what) {
  keep(all().map((entry) => (entry.id === id ? { ...entry, ...what } : entry)));
}

// The server has all of it: what is left to see is what becomes of it.
export function sent(id) {
  change(id, { sent: true, alive: 0 });
}

// By what a file is known as this one, where the server could not be asked before.
export function learn(id, sample) {
  change(id, { sample });
}

// Says that this tab is sending it, or is not any more.
export function alive(id, yes) {
  change(id, { alive: yes ? Date.now() : 0 });
}

export const isAlive = (entry) => Date.now() - (entry.alive ?? 0) < ALIVE_MS;

export function forget(id) {
  keep(all().filter((entry) => entry.id !== id));
}

export function same(entry, file, sample) {
  return entry.size === file.size && Boolean(sample) && entry.sample === sample;
}

// Why a file is not taken for the one that was begun.
export function difference(entry, file) {
  if (entry.size !== file.size) return "this is not the same file: its size differs";
  return entry.sample ? "this is not the same file: its content differs" : "nothing tells whether this is the same file";
}
