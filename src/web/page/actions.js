// What a person may do with an upload: downloads, cancel, retry, load again.

import { button, el, replace, singly } from "./dom.js";
import { Again } from "./again.js";
import { error } from "./parts.js";
import { ask } from "./server.js";
import { account, maySend } from "./session.js";
import { isOpen } from "./view.js";

// Whose rows one may read and change: one's own, and everybody's as an admin.
const owns = (view) => account().role === "admin" || account().name === view.sender;

function links(view) {
  if (!owns(view)) return [];
  const rejects = view.links.rejects;
  const shown = [
    [rejects, "Download rejected rows", "As a spreadsheet may open them: nothing in them is taken for a formula"],
    [rejects && `${rejects}?exact=true`, "exact bytes", "Byte for byte, to mend and send again"],
    [view.links.receipt, "Receipt"], [view.state !== "receiving" && view.links.content, "Original"],
  ];
  return shown.filter(([href]) => href).map(([href, text, title]) => el("a", { href, title, download: text !== "Receipt" }, text));
}

// Ends an upload that is still arriving, wherever it was begun.
function abandon(view, place) {
  return singly(async () => {
    try {
      await ask(view.links.tus, { method: "DELETE", headers: { "Tus-Resumable": "1.0.0" } });
      document.dispatchEvent(new CustomEvent("caught-up"));
    } catch (problem) {
      replace(place, error(problem, { dismiss: () => replace(place), id: view.id }));
    }
  });
}

// What the links and buttons of an upload depend on: while it is the same, they stay as they are.
export function actionsKey(view) {
  return [view.state, view.cancel_asked, view.links, view.error, view.already_present > 0, view.options];
}

// The links and buttons of an upload. `begun(view)` is told of each that was opened again or made; `place` takes forms
// and what was refused.
export function actions(view, { begun, place }) {
  const act = (what) => singly(async () => {
    try {
      const answer = await ask(`/uploads/${view.id}/${what}`, { method: "POST" });
      replace(place);
      begun(answer.state ? answer : { ...view, cancel_asked: isOpen(view) });
    } catch (problem) {
      const overtaken = problem.code === "overtaken" && button("Do it all the same", act(`${what}${what.includes("?") ? "&" : "?"}over_newer=true`));
      replace(place, error(problem, { dismiss: () => replace(place), id: view.id }), overtaken || "");
    }
  });
  const made = [...links(view)];
  if (!maySend() || !owns(view)) return made;
  if (["failed", "cancelled"].includes(view.state)) made.push(button("Retry", act("retry")));
  if (view.state === "failed" && view.error?.next?.includes("--restart")) made.push(button("Retry from the start", act("retry?restart=true")));
  if (isOpen(view) && view.state !== "receiving" && !view.cancel_asked) made.push(button("Cancel", act("cancel")));
  if (view.state === "receiving" && view.links.tus) made.push(button("Cancel", abandon(view, place)));
  if (isOpen(view)) return made;
  if (view.state === "done" && view.already_present > 0 && view.options?.existing === "keep") {
    made.push(button("Load again and replace", act("again?existing=replace"), { title: "Nothing is sent: rows in the table become as they are in this file" }));
  }
  made.push(button("Change options and load again", () => {
    const form = new Again(view, { begun, closed: () => replace(place) });
    replace(place, form.node);
    form.node.querySelector("select, input")?.focus();
  }, { title: "Nothing is sent: the same bytes are read anew" }));
  return made;
}
