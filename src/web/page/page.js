// The page's behaviour. Everything that comes from files or the server is put in as text, never as markup.
"use strict";

const OPEN = new Set(["receiving", "received", "archiving", "archived", "loading"]);
const HEAD_BYTES = 64 * 1024;
const SENDING_AT_ONCE = 2;
const POLL_MS = 1000;

const $ = (id) => document.getElementById(id);

function el(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

// --- words and numbers ---

const number = (value) => value.toLocaleString("en");

function bytes(value) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (value >= 1000 && at < units.length - 1) { value /= 1000; at += 1; }
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

function span(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

const when = (text) => (text ? new Date(text).toLocaleString() : "");
const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

// How fast something goes, smoothed over the last few seconds.
class Speed {
  constructor() { this.points = []; }
  at(done) {
    const now = performance.now() / 1000;
    if (this.points.length && done < this.points[this.points.length - 1][1]) this.points = [];
    this.points.push([now, done]);
    while (this.points.length > 2 && now - this.points[0][0] > 8) this.points.shift();
    const [since, before] = this.points[0];
    return now > since ? (done - before) / (now - since) : 0;
  }
}

function amount(done, total, unit, speed) {
  const text = unit === "bytes" ? bytes : number;
  const of = total > 0 ? ` of ${text(total)}` : "";
  const rate = speed > 0 ? ` · ${unit === "bytes" ? bytes(speed) : number(Math.round(speed)) + " rows"}/s` : "";
  const left = speed > 0 && total > done ? ` · ${span((total - done) / speed)} left` : "";
  return `${text(done)}${of}${unit === "rows" ? " rows" : ""}${rate}${left}`;
}

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
    this.bar.hidden = ended;
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

function error(problem) {
  return el("div", { class: "error", role: "alert" }, el("div", {}, problem.detail ?? problem.message),
    problem.next ? el("div", {}, problem.next) : null,
    el("small", {}, `Code: ${problem.code}`));
}

function stateText(view) {
  if (view.state === "done") {
    return view.rejected > 0 ? `Done, ${plural(view.rejected, "row")} rejected` : "Done";
  }
  return view.state[0].toUpperCase() + view.state.slice(1);
}

function steps(view) {
  const order = ["received", "archived", "loading", "done"];
  const at = { receiving: -1, received: 0, archiving: 0, archived: 1, loading: 2, done: 3 }[view.state] ?? (view.archived_at ? 1 : 0);
  const labels = [
    view.announced_at ? `Received, announced ${when(view.announced_at)}` : "Received",
    view.archived_at ? `Archived ${when(view.archived_at)}` : "Archived",
    "Loaded", view.state === "done" ? `Done ${when(view.finished_at)}` : "Done",
  ];
  return el("ol", { class: "steps" }, ...order.map((_, step) => {
    const past = view.state === "done" || step <= at && !(step === at && view.state === "loading");
    const now = !past && OPEN.has(view.state) && (step === at + 1 || view.state === "loading" && step === 2);
    return el("li", { class: past ? "past" : now ? "now" : "", "aria-current": now ? "step" : null }, labels[step]);
  }));
}

function counts(view) {
  const shown = [["Read", view.read], ["New", view.inserted], ["Replaced", view.replaced], ["Duplicates", view.duplicates], ["Rejected", view.rejected]];
  if (view.read === 0 && view.state !== "done") return null;
  return el("dl", { class: "counts" }, ...shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, number(value)))));
}

function reasons(view) {
  if (!view.reasons.length) return null;
  const rows = view.reasons.map((reason) => el("tr", {}, el("td", {}, number(reason.count)), el("td", {}, reason.field),
    el("td", {}, reason.code.replaceAll("_", " ")), el("td", {}, `line ${number(reason.first_line)}: ${reason.example}`)));
  return el("div", { class: "scroll" }, el("table", {}, el("caption", { class: "quiet" }, "Rejected rows by reason"),
    el("thead", {}, el("tr", {}, ...["Rows", "Field", "Reason", "For example"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...rows)));
}

function times(view) {
  const { offset, zone, epoch, formats, folds, gaps } = view.times;
  const parts = [[offset, "with an offset"], [zone, `read in ${view.options?.zone ?? "the zone"}`], [epoch, "epoch"],
    ...Object.entries(formats ?? {}).map(([format, count]) => [count, `as ${format}`]),
    [folds, "in an hour that came twice"], [gaps, "in an hour that never was"]];
  const text = parts.filter(([count]) => count > 0).map(([count, how]) => `${number(count)} ${how}`).join(", ");
  return text ? el("p", { class: "quiet" }, `Times: ${text}.`) : null;
}

function details(view) {
  const kept = view.already_present > 0 ? `${plural(view.already_present, "row")} were in the table already and stay as they were.` : null;
  const looks = view.looks_like ? `${plural(view.undecodable, "row")} cannot be decoded; they look like ${view.looks_like}.` : null;
  return [
    steps(view),
    view.waiting ? el("p", { class: "waiting", role: "status" }, view.waiting.message) : null,
    view.error ? error(view.error) : null,
    counts(view),
    ...[kept, looks, ...(view.remarks ?? [])].filter(Boolean).map((text) => el("p", {}, text)),
    times(view),
    reasons(view),
    el("p", {}, el("small", {}, `${view.size === null ? "" : bytes(view.size) + " · "}from ${view.sender} · ${view.id}`)),
  ].filter(Boolean);
}

function links(view) {
  const shown = [["rejects", "Download rejected rows"], ["receipt", "Receipt"]];
  return shown.filter(([name]) => view.links[name]).map(([name, text]) => el("a", { href: view.links[name], download: name === "rejects" }, text));
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

async function loadHistory(more) {
  const turn = ++historyTurn;
  const query = new URLSearchParams();
  for (const field of $("filter").elements) if (field.name && field.value) query.set(field.name, field.value);
  query.set("limit", "25");
  if (more && before !== null) query.set("before", before);
  try {
    const page = await ask(`/uploads?${query}`);
    if (turn !== historyTurn) return;
    const opened = new Set([...$("history").querySelectorAll("details[open]")].map((node) => node.dataset.id));
    const rows = page.uploads.map((view) => historyRow(view, opened));
    if (more) $("history").append(...rows); else $("history").replaceChildren(...rows);
    before = page.next;
    $("more").hidden = page.next === null;
    $("history-note").textContent = page.waiting ? page.waiting.message : page.uploads.length || more ? "" : "No uploads yet.";
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
  $("filter").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(loadHistory, 250); });
  $("filter").addEventListener("submit", (event) => { event.preventDefault(); loadHistory(); });
  $("more").addEventListener("click", () => loadHistory(true));
  window.addEventListener("beforeunload", (event) => { if (sending > 0) event.preventDefault(); });
  loadHistory();
}

begin();
