// A file's two ends: enough to ask whether it was sent before, without reading all of it.

import { Problem, ask } from "./server.js";

export const END_BYTES = 64 * 1024;

// The bytes of a part of a file. Handed to a request unread, a part that is gone would look like a line that is cut.
export async function read(part) {
  try {
    return await part.arrayBuffer();
  } catch {
    const detail = "The file was changed or moved on your disk since it was chosen, and cannot be read any more.";
    throw new Problem({ code: "file_changed", detail, next: "Choose it again; it is sent from the start if it is another one now." });
  }
}

// The file's first bytes, for a preview; and whether they are all of it.
export async function head(file) {
  return { bytes: await read(file.slice(0, END_BYTES)), complete: file.size <= END_BYTES };
}

// {sample, uploads}: what the server makes of both ends, and the uploads that have the same.
export async function known(file) {
  const tail = Math.min(Math.max(file.size - END_BYTES, 0), END_BYTES);
  const body = await read(new Blob([file.slice(0, END_BYTES), file.slice(file.size - tail)]));
  return ask(`/known?size=${file.size}`, { method: "POST", body });
}
