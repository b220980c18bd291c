// The first rejected rows of each reason, as they stand in the file: read when somebody wants to see them.

import { el } from "./dom.js";
import { error } from "./parts.js";
import { ask } from "./server.js";
import { account } from "./session.js";
import { number, plural, sentence } from "./words.js";

const SHOWN = 240;
const cut = (text) => (text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);

function group({ reason, count, first }) {
  return el("section", {}, el("h4", {}, `${sentence(reason.replaceAll("_", " "))} (${plural(count, "row")})`),
    el("ol", { class: "plain" }, ...first.map(({ line, text }) => el("li", {}, el("small", {}, `line ${number(line)}`), el("code", {}, cut(text))))));
}

export function firstRejects(view) {
  const mine = account().role === "admin" || account().name === view.sender;
  if (!view.links.rejects || !mine) return null;
  const inside = el("div", {});
  const fold = el("details", {}, el("summary", {}, "First rejected rows of each reason"), inside);
  fold.addEventListener("toggle", async () => {
    if (!fold.open || inside.hasChildNodes()) return;
    try {
      const { rejects } = await ask(`${view.links.rejects}/sample`);
      inside.replaceChildren(...rejects.map(group));
    } catch (problem) {
      inside.replaceChildren(error(problem));
    }
  });
  return fold;
}
