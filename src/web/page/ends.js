// A file's two ends: enough to ask whether it was sent before, without reading all of it.

import { ask } from "./server.js";

export const END_BYTES = 64 * 1024;

// The file's first bytes, for a preview; and whether they are all of it.
export function head(file) {
  return { bytes: file.slice(0, END_BYTES), complete: file.size <= END_BYTES };
}

// {sample, uploads}: what the server makes of both ends, and the uploads that have the same.
export async function known(file) {
  const tail = Math.min(Math.max(file.size - END_BYTES, 0), END_BYTES);
  const body = new Blob([file.slice(0, END_BYTES), file.slice(file.size - tail)]);
  return ask(`/known?size=${file.size}`, { method: "POST", body });
}
