// What the page does: sending files, following uploads, the history. view.js says how they look. Everything that comes from files or the server is put in as text, never as markup.
"use strict";

const HEAD_BYTES = 64 * 1024;
const SENDING_AT_ONCE = 2;
const POLL_MS = 1000;
const HISTORY_MS = 5000;

// --- talking to the server ---

async function ask(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw { code: "no_connection", detail: "No connection to the server.", next: "The page tries again by itself." };
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw { code: answer.code ?? `http_${response.status}`, detail: answer.detail ?? `The server answered ${response.status}.`, next: answer.next };
  }
  return answer;
}

function chosenOptions() {
  const query = new URLSearchParams();
  for (const field of document.querySelectorAll(".options [name]")) {
    if (field.value.trim()) query.append(field.name, field.value.trim());
  }
  return query;
}

// --- sending files ---

const queue = [];
let sending = 0;

function enqueue(files) {
  const options = chosenOptions();
  for (const file of files) {
    const card = new Card(file.name);
    card.say("Waiting for its turn");
    queue.push({ file, options, card });
  }
  next();
}

function next() {
  while (sending < SENDING_AT_ONCE && queue.length) {
    const job = queue.shift();
    if (job.card.dismissed) continue;
    sending += 1;
    send(job).finally(() => { sending -= 1; next(); });
  }
}

async function send(job) {
  const { file, options, card } = job;
  try {
    card.say("Checking");
    await check(file, options);
    const view = await transfer(file, options, card);
    card.show(view);
    card.follow(view.id);
    loadHistory();
  } catch (problem) {
    card.refuse(problem, () => { card.reset(); queue.push(job); next(); });
  }
}

// The first bytes tell whether the file can be read: nobody sends gigabytes to be told that a column is missing.
async function check(file, options) {
  const query = new URLSearchParams(options);
  query.set("complete", String(file.size <= HEAD_BYTES));
  await ask(`/preview?${query}`, { method: "POST", body: file.slice(0, HEAD_BYTES) });
}

function transfer(file, options, card) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const speed = new Speed();
    request.open("PUT", `/uploads/${encodeURIComponent(file.name)}?${options}`);
    request.responseType = "json";
    request.upload.onprogress = (event) => {
      const rate = speed.at(event.loaded);
      card.progress("Uploading", event.loaded, file.size, "bytes", rate);
      if (event.loaded >= file.size) card.say("Storing safely");
    };
    request.onload = () => {
      const answer = request.response ?? {};
      if (request.status === 201) resolve(answer);
      else reject({ code: answer.code ?? `http_${request.status}`, detail: answer.detail ?? `The server answered ${request.status}.`, next: answer.next });
    };
    request.onerror = () => reject({ code: "connection_lost", detail: "The connection broke off; nothing of the file was kept.", next: "Send it again when the line is back." });
    request.onabort = () => reject({ code: "stopped", detail: "You stopped this upload; nothing of the file was kept." });
    card.stop = () => request.abort();
    request.send(file);
  });
}

// --- one upload on the page ---

class Card {
  constructor(name) {
    this.dismissed = false;
    this.speed = new Speed();
    this.title = el("h3", {}, name);
    this.state = el("span", { class: "state" });
    this.bar = el("progress", { max: "1", "aria-label": `Progress of ${name}` });
    this.line = el("p", { class: "quiet" });
    this.body = el("div", {});
    this.actions = el("div", { class: "actions" });
    this.node = el("article", { class: "card", "aria-label": name },
      el("div", { class: "head" }, this.title, this.state), this.bar, this.line, this.body, this.actions);
    $("current").prepend(this.node);
    $("current-section").hidden = false;
    this.reset();
  }

  reset() {
    this.body.replaceChildren();
    this.bar.hidden = false;
    this.bar.removeAttribute("value");
    this.line.textContent = "";
    this.state.className = "state";
    this.actions.replaceChildren(el("button", { type: "button", onclick: () => { if (this.stop) this.stop(); else this.dismiss(); } }, "Stop"));
  }

  say(text) {
    this.state.textContent = text;
  }

  progress(text, done, total, unit, speed) {
    this.state.textContent = text;
    if (total > 0) this.bar.value = Math.min(1, done / total); else this.bar.removeAttribute("value");
    this.line.textContent = amount(done, total, unit, speed);
  }

  refuse(problem, again) {
    this.stop = undefined;
    this.say("Not accepted");
    this.state.className = "state refused";
    this.bar.hidden = true;
    this.line.textContent = "";
    this.body.replaceChildren(error(problem));
    this.actions.replaceChildren(
      el("button", { type: "button", onclick: again }, "Send again"),
      el("button", { type: "button", onclick: () => this.dismiss() }, "Dismiss"));
    announce(`${this.title.textContent}: ${problem.detail}`);
  }

  show(view) {
    const ended = !OPEN.has(view.state);
    this.state.textContent = stateText(view);
    this.state.className = `state ${view.state}`;
    this.bar.hidden = ended || Boolean(view.waiting);
    this.line.textContent = "";
    if (view.progress) {
      const { stage, done, total, unit } = view.progress;
      if (this.stage !== stage) { this.stage = stage; this.speed = new Speed(); }
      this.progress(stateText(view), done, total, unit, this.speed.at(done));
      this.line.textContent = `${stage}: ${this.line.textContent}`;
    } else if (!ended) {
      this.bar.removeAttribute("value");
    }
    this.body.replaceChildren(...details(view));
    this.actions.replaceChildren(...links(view), ...buttons(view, this));
    if (ended) this.actions.append(el("button", { type: "button", onclick: () => this.dismiss() }, "Dismiss"));
  }

  async follow(id) {
    this.stop = undefined;
    for (;;) {
      try {
        const view = await ask(`/uploads/${id}`);
        if (this.dismissed) return;
        this.show(view);
        if (!OPEN.has(view.state)) {
          announce(`${view.filename}: ${stateText(view)}`);
          loadHistory();
          return;
        }
      } catch (problem) {
        this.line.textContent = problem.detail;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  dismiss() {
    this.dismissed = true;
    this.node.remove();
    $("current-section").hidden = !$("current").hasChildNodes();
  }
}

function announce(text) {
  $("live").textContent = text;
}

function buttons(view, card) {
  const act = (what, then) => async (event) => {
    event.target.disabled = true;
    try {
      then(await ask(`/uploads/${view.id}/${what}`, { method: "POST" }));
      loadHistory();
    } catch (problem) {
      event.target.disabled = false;
      event.target.closest("article").append(error(problem));
    }
  };
  const again = () => act(`again?${chosenOptions()}`, (fresh) => { const shown = new Card(fresh.filename); shown.show(fresh); shown.follow(fresh.id); });
  const follow = () => { const shown = card ?? new Card(view.filename); shown.follow(view.id); };
  const made = [];
  if (["failed", "cancelled"].includes(view.state)) made.push(el("button", { type: "button", onclick: act("retry", follow) }, "Retry"));
  if (!OPEN.has(view.state)) made.push(el("button", { type: "button", title: "Nothing is sent; takes the options above", onclick: again() }, "Load again with the options above"));
  if (OPEN.has(view.state) && view.state !== "receiving") made.push(el("button", { type: "button", onclick: act("cancel", () => {}) }, view.cancel_asked ? "Stopping" : "Cancel"));
  return made;
}

// --- history ---

let historyTurn = 0;
let before = null;
let somethingOpen = false;

async function loadHistory(more) {
  const turn = ++historyTurn;
  const query = new URLSearchParams();
  for (const field of $("filter").elements) if (field.name && field.value) query.set(field.name, field.value);
  const none = query.size > 0 ? "No upload fits this search." : "No uploads yet.";
  query.set("limit", "25");
  if (more && before !== null) query.set("before", before);
  try {
    const page = await ask(`/uploads?${query}`);
    if (turn !== historyTurn) return;
    const opened = new Set([...$("history").querySelectorAll("details[open]")].map((node) => node.dataset.id));
    const rows = page.uploads.map((view) => historyRow(view, opened));
    if (more) $("history").append(...rows); else $("history").replaceChildren(...rows);
    before = page.next;
    // What was paged in stays in view: a refresh would fold it away.
    somethingOpen = !more && page.uploads.some((view) => OPEN.has(view.state));
    $("more").hidden = page.next === null;
    $("history-note").textContent = page.waiting ? page.waiting.message : page.uploads.length || more ? "" : none;
  } catch (problem) {
    if (turn === historyTurn) $("history-note").textContent = problem.detail;
  }
}

function historyRow(view, opened) {
  const fold = el("details", { open: opened.has(view.id) }, el("summary", {}, "Details"), ...details(view));
  fold.dataset.id = view.id;
  return el("article", { class: "row" },
    el("div", { class: "head" }, el("h3", {}, view.filename), el("span", { class: `state ${view.state}` }, stateText(view))),
    el("small", {}, when(view.received_at ?? view.started_at)),
    fold, el("div", { class: "actions" }, ...links(view), ...buttons(view)));
}

// --- the form ---

let chosen = [];

function choose(files) {
  chosen = [...files];
  $("chosen").replaceChildren(...chosen.map((file) => el("li", {}, `${file.name} (${bytes(file.size)})`)));
  $("hint").textContent = "";
}

function begin() {
  for (const zone of Intl.supportedValuesOf?.("timeZone") ?? []) $("zones").append(el("option", { value: zone }));
  $("files").addEventListener("change", () => choose($("files").files));
  const drop = $("drop");
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); choose(event.dataTransfer.files); });
  $("upload").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!chosen.length) { $("hint").textContent = "Choose a file first."; return; }
    enqueue(chosen);
    choose([]);
    $("files").value = "";
  });
  let typing;
  for (const name of ["input", "change"]) {
    $("filter").addEventListener(name, () => { clearTimeout(typing); typing = setTimeout(loadHistory, 250); });
  }
  $("filter").addEventListener("submit", (event) => { event.preventDefault(); loadHistory(); });
  $("more").addEventListener("click", () => loadHistory(true));
  window.addEventListener("beforeunload", (event) => { if (sending > 0) event.preventDefault(); });
  setInterval(() => { if (!document.hidden && somethingOpen) loadHistory(); }, HISTORY_MS);
  loadHistory();
}

begin();
