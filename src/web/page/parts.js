// Small parts that many places show: errors, notices, times.

import { button, el } from "./dom.js";
import { sentence } from "./words.js";

// What is wrong, what is safe, the one next step; and the code and id to ask an operator about.
export function error(problem, { safe, dismiss, id } = {}) {
  const text = problem.detail ?? problem.message ?? String(problem);
  const lines = [text, safe, problem.next].filter(Boolean);
  return el("div", { class: "error", role: "alert" }, ...lines.map((line) => el("div", {}, sentence(line))),
    el("small", {}, [problem.code && `Code: ${problem.code}`, id && `upload ${id}`].filter(Boolean).join(" · ")),
    dismiss && button("Dismiss", dismiss, { class: "plain" }));
}

export function notice(...content) {
  return el("div", { class: "notice" }, ...content);
}

// As the table holds it, without what is nought: a column of such times is read at a glance.
export function time(text) {
  return text.replace(/\.000Z$/, "Z");
}
