// The page's beginning: who looks, what was chosen, what goes on.

import { choose, takeReady } from "./chosen.js";
import { $, say, singly } from "./dom.js";
import { beginHistory } from "./history.js";
import { connect } from "./live.js";
import { busy, enqueue, restore } from "./sending.js";
import { whenSignedIn } from "./session.js";
import { bytes } from "./words.js";

function acceptFiles() {
  $("files").addEventListener("change", () => {
    choose([...$("files").files]);
    $("files").value = "";
  });
  const drop = $("drop");
  // Beside the field a file would be opened in place of the page.
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length && !$("upload").hidden) choose([...event.dataTransfer.files]);
  });
  $("send").addEventListener("click", singly(async () => {
    const pressed = document.activeElement;
    const ready = await takeReady();
    const cards = ready.map(({ file, options, sample, twins, begun }) => enqueue({ file, options, sample, twins, begun }));
    // The newest stands first. Hidden, the button loses the focus.
    const nowhere = [pressed, document.body].includes(document.activeElement);
    if (pressed === $("send") && nowhere) cards.at(-1)?.focus();
  }));
}

// How large a file may be, told before anybody sends one.
async function tellLimit() {
  const answer = await fetch("/files", { method: "OPTIONS" }).catch(() => null);
  const most = Number(answer?.headers.get("tus-max-size"));
  if (most > 0) say($("limit"), `Up to ${bytes(most)} each, also gzip. Needs id, name and start time.`);
}

function begin() {
  acceptFiles();
  beginHistory();
  tellLimit();
  restore();
  connect();
}

window.addEventListener("beforeunload", (event) => { if (busy()) event.preventDefault(); });
whenSignedIn(begin);
