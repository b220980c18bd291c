// One file on its way to the server in pieces (tus 1.0): it goes on where it was after a pause, a cut line, a restart of
// the server, or another visit to the page.

import { read } from "./ends.js";
import { Problem, ask, noConnection, patience, problemOf } from "./server.js";

const PIECE_BYTES = { least: 256 * 1024, first: 8 * 1024 * 1024, most: 64 * 1024 * 1024 };
// A piece that takes less is too small for the line: each costs an answer.
const PIECE_MS = 1500;
const PAUSE_MS = { first: 500, most: 30_000 };
const VERSION = { "Tus-Resumable": "1.0.0" };

const stopped = () => new Problem({ code: "stopped", detail: "You stopped this upload." });

function gone() {
  const detail = "What was sent of this file is not on the server any more; it waits for the rest only for some days.";
  return new Problem({ status: 404, code: "upload_gone", detail, next: "Send it again from the start." });
}

const base64 = (text) => btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));

// A request that tells how much of its body was sent.
function send(method, address, headers, body, onprogress, began) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    for (const [name, value] of Object.entries({ ...VERSION, ...headers })) request.setRequestHeader(name, value);
    if (onprogress) request.upload.onprogress = (event) => onprogress(event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) return resolve(request);
      let answer = null;
      try { answer = JSON.parse(request.responseText); } catch { answer = null; }
      return reject(problemOf(request.status, answer, request.getResponseHeader("retry-after")));
    };
    request.onerror = () => reject(noConnection());
    request.onabort = () => reject(stopped());
    began?.(request);
    request.send(body ?? null);
  });
}

const idOf = (address) => address?.split("/").at(-1);

// Deletes what the server has of an upload; that it has nothing of it any more is as good.
export async function takeBack(address) {
  try {
    await send("DELETE", address);
  } catch (problem) {
    // Its last byte came first: it is an upload like any other now.
    if (problem.code === "finished") await ask(`/uploads/${idOf(address)}/cancel`, { method: "POST" });
    else if (problem.code !== "no_such_upload") throw problem;
  }
}

export class Transfer {
  #file; #options; #told; #piece = PIECE_BYTES.first; #most = PIECE_BYTES.most; #offset; #request; #waiting; #paused = null; #cancelled = false;

  // `options`: row options as a query. `address`: of an upload that was begun before. `told`: created(address),
  // progress(bytes), waits(problem), goes().
  constructor(file, { options, address, told }) {
    this.#file = file;
    this.#options = options;
    this.#told = told;
    this.address = address;
  }

  // Until when the server keeps what it has of the file; nothing where it did not say.
  expires = null;

  get id() {
    return idOf(this.address);
  }

  get paused() {
    return this.#paused !== null;
  }

  pause() {
    if (this.#paused) return;
    let resume;
    const over = new Promise((resolve) => { resume = resolve; });
    this.#paused = { over, resume };
    this.#stop();
  }

  resume() {
    this.#paused?.resume();
    this.#paused = null;
  }

  // Ends it; what the server has of it is deleted. Where that fails it is paused, and this throws why.
  async cancel() {
    this.pause();
    if (this.address) await takeBack(this.address);
    this.#cancelled = true;
    this.resume();
    this.#stop();
  }

  get #stopped() {
    return this.paused || this.#cancelled;
  }

  #stop() {
    this.#request?.abort();
    this.#waiting?.wake();
  }

  // Resolves when all bytes are safe; throws the problem that no waiting mends.
  async run() {
    for (let tries = 0; ; tries += 1) {
      await this.#paused?.over;
      if (this.#cancelled) throw stopped();
      try {
        if (!this.address) await this.#create();
        this.#offset ??= await this.#reached();
        if (this.#stopped) continue;
        this.#told.goes();
        this.#told.progress(this.#offset);
        while (this.#offset < this.#file.size) {
          await this.#sendPiece();
          tries = 0;
        }
        return;
      } catch (problem) {
        this.#offset = undefined;
        const lasting = await this.#lasting(problem);
        if (this.#stopped) continue;
        if (lasting) throw lasting;
        const pause = Math.max(Math.min(PAUSE_MS.first * 2 ** tries, PAUSE_MS.most), problem.retryAfter * 1000);
        this.#told.waits(problem);
        this.#waiting = patience(pause);
        await this.#waiting.over;
        this.#waiting = undefined;
      }
    }
  }

  // Bytes that the server has, by its own word.
  #took(answer) {
    this.expires = answer.getResponseHeader("Upload-Expires") ?? this.expires;
    return Number(answer.getResponseHeader("Upload-Offset") ?? 0);
  }

  // What no waiting mends: the problem itself, or that the file cannot be read any more.
  async #lasting(problem) {
    if (!problem.passes) return problem;
    return read(this.#file.slice(0, 1)).then(() => null, (changed) => changed);
  }

  // A request that pausing and cancelling end.
  #send(method, address, headers, body, onprogress) {
    if (this.#stopped) throw stopped();
    return send(method, address, headers, body, onprogress, (request) => { this.#request = request; });
  }

  async #create() {
    const { name, type, size } = this.#file;
    const metadata = [["filename", name], ["filetype", type]].filter(([, value]) => value);
    const text = metadata.map(([key, value]) => `${key} ${base64(value)}`).join(",");
    const headers = { "Upload-Length": String(size), "Upload-Metadata": text };
    const query = this.#options.toString();
    const answer = await this.#send("POST", `/files${query && `?${query}`}`, headers);
    this.address = new URL(answer.getResponseHeader("Location"), document.baseURI).pathname;
    this.#offset = this.#took(answer);
    this.#told.created(this.address);
  }

  // As the server reports them. An upload that has ended is no upload of this protocol any more, but one all the same.
  async #reached() {
    try {
      return this.#took(await this.#send("HEAD", this.address));
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      // Such an answer has no body that would tell whether the server itself says so.
      const view = await ask(`/uploads/${this.id}`).catch((other) => { throw other.code === "no_such_upload" ? gone() : other; });
      if (!view?.state || view.state === "receiving") throw problem;
      return this.#file.size;
    }
  }

  async #sendPiece() {
    const begin = this.#offset;
    const body = this.#file.slice(begin, begin + this.#piece);
    const headers = { "Upload-Offset": String(begin), "Content-Type": "application/offset+octet-stream" };
    const began = performance.now();
    try {
      this.#offset = this.#took(await this.#send("PATCH", this.address, headers, body, (sent) => this.#told.progress(begin + sent)));
    } catch (problem) {
      if (problem.status !== 413 || !problem.foreign || body.size <= PIECE_BYTES.least) throw problem;
      // Someone between us and the server takes only smaller bodies.
      this.#most = Math.max(Math.floor(body.size / 2), PIECE_BYTES.least);
      this.#piece = this.#most;
      return;
    }
    this.#told.progress(this.#offset);
    if (performance.now() - began < PIECE_MS) this.#piece = Math.min(this.#piece * 2, this.#most);
  }
}
