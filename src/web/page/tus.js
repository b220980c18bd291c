// One file on its way to the server in pieces (tus 1.0): it goes on where it was after a pause, a cut line, a restart of
// the server, or another visit to the page.

import { Problem, ask, noConnection, patience, problemOf } from "./server.js";

const PIECE_BYTES = { least: 256 * 1024, first: 8 * 1024 * 1024, most: 64 * 1024 * 1024 };
// A piece that takes less is too small for the line: each costs an answer.
const PIECE_MS = 1500;
const PAUSE_MS = { first: 500, most: 30_000 };
const VERSION = { "Tus-Resumable": "1.0.0" };

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
    request.onabort = () => reject(new Problem({ code: "stopped", detail: "You stopped this upload." }));
    began?.(request);
    request.send(body ?? null);
  });
}

export class Transfer {
  #file; #options; #told; #piece = PIECE_BYTES.first; #offset; #request; #waiting; #paused = null; #cancelled = false;

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
    return this.address?.split("/").at(-1);
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

  // Ends it; what the server has of it is deleted.
  async cancel() {
    this.#cancelled = true;
    this.resume();
    this.#stop();
    if (!this.address) return;
    await send("DELETE", this.address).catch((problem) => {
      // Its last byte came first: it is an upload like any other now.
      if (problem.code === "finished") return ask(`/uploads/${this.id}/cancel`, { method: "POST" }).catch(() => {});
    });
  }

  #stop() {
    this.#request?.abort();
    this.#waiting?.wake();
  }

  // Resolves when all bytes are safe; throws the problem that no waiting mends.
  async run() {
    for (let tries = 0; ; tries += 1) {
      await this.#paused?.over;
      try {
        if (this.#cancelled) throw new Problem({ code: "stopped", detail: "You stopped this upload." });
        if (!this.address) await this.#create();
        this.#offset ??= await this.#reached();
        this.#told.goes();
        this.#told.progress(this.#offset);
        while (this.#offset < this.#file.size) {
          await this.#sendPiece();
          tries = 0;
        }
        return;
      } catch (problem) {
        this.#offset = undefined;
        if (this.#paused && !this.#cancelled) continue;
        await this.#judge(problem);
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

  // Throws what does not pass.
  async #judge(problem) {
    if (!(problem instanceof Problem) || this.#cancelled) throw problem;
    // Someone between us and the server takes only smaller bodies.
    if (problem.status === 413 && problem.code === "http_413" && this.#piece > PIECE_BYTES.least) {
      this.#piece = Math.max(this.#piece / 2, PIECE_BYTES.least);
      return;
    }
    if (!problem.passes) throw problem;
    try {
      await this.#file.slice(0, 1).arrayBuffer();
    } catch {
      const detail = "The file was changed or moved on your disk while it was sent, and cannot be read any more.";
      throw new Problem({ code: "file_changed", detail, next: "Choose it again; it is sent from the start if it is another one now." });
    }
  }

  async #create() {
    const { name, type, size } = this.#file;
    const metadata = [["filename", name], ["filetype", type]].filter(([, value]) => value);
    const text = metadata.map(([key, value]) => `${key} ${base64(value)}`).join(",");
    const headers = { "Upload-Length": String(size), "Upload-Metadata": text };
    const query = this.#options.toString();
    const answer = await send("POST", `/files${query && `?${query}`}`, headers, null, null, (request) => { this.#request = request; });
    this.address = new URL(answer.getResponseHeader("Location"), document.baseURI).pathname;
    this.#offset = this.#took(answer);
    this.#told.created(this.address);
  }

  // As the server reports them. An upload that has ended is no upload of this protocol any more, but one all the same.
  async #reached() {
    try {
      return this.#took(await send("HEAD", this.address));
    } catch (problem) {
      if (![404, 410].includes(problem.status)) throw problem;
      const view = await ask(`/uploads/${this.id}`).catch((other) => { if (other.passes) throw other; return null; });
      if (view && view.state !== "receiving") return this.#file.size;
      const detail = "What was sent of this file is not on the server any more; it waits for the rest only for some days.";
      throw new Problem({ code: "upload_gone", detail, next: "Send it again from the start." });
    }
  }

  async #sendPiece() {
    const begin = this.#offset;
    const body = this.#file.slice(begin, begin + this.#piece);
    const headers = { "Upload-Offset": String(begin), "Content-Type": "application/offset+octet-stream" };
    const began = performance.now();
    const answer = await send("PATCH", this.address, headers, body,
      (sent) => this.#told.progress(begin + sent), (request) => { this.#request = request; });
    this.#offset = this.#took(answer);
    this.#told.progress(this.#offset);
    if (performance.now() - began < PIECE_MS) this.#piece = Math.min(this.#piece * 2, PIECE_BYTES.most);
  }
}
