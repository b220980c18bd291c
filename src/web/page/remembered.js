// How files with certain columns were read, for the next one that has the same: kept in this browser when asked to.

import { list } from "./kept.js";

const { all, keep } = list("userdata.remembered", 40);

// What files are like each other by: the names of their columns. Without names there is nothing to know them by.
export function likeness(columns) {
  return columns.length && columns.every(({ name }) => name !== null) ? JSON.stringify(columns.map(({ name }) => name)) : null;
}

// Changed options by name, or nothing.
export function recall(like) {
  return all().find((entry) => entry.like === like)?.changed;
}

export function remember(like, changed) {
  keep([...all().filter((entry) => entry.like !== like), { like, changed }]);
}

export function forget(like) {
  keep(all().filter((entry) => entry.like !== like));
}
