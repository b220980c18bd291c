// Making and finding elements. Text from files and from the server goes in as text nodes, never as markup.

export const $ = (id) => document.getElementById(id);

// Properties: "class", "onclick" and the like take a function, everything else is an attribute; true: without a value.
export function el(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

export function button(text, onclick, properties) {
  return el("button", { type: "button", onclick, ...properties }, text);
}

// What a press leads to, once at a time. The button is not disabled meanwhile: that would take the focus from it.
export function singly(work) {
  return async ({ currentTarget: pressed }) => {
    if (pressed.hasAttribute("aria-disabled")) return;
    pressed.setAttribute("aria-disabled", "true");
    try {
      await work();
    } finally {
      pressed.removeAttribute("aria-disabled");
    }
  };
}

// Changes a text only where it differs: screen readers read again whatever is set.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Read aloud by screen readers, wherever the focus is.
export function announce(text) {
  say($("heard"), text);
}

// Gives the focus to the first control in one of these places, or to where files are chosen.
function focusIn(...places) {
  (places.map((place) => place?.querySelector("button, a, summary, input")).find(Boolean) ?? $("files")).focus();
}

// Changes what is in an element. What has the focus there keeps it; where it goes, the first control there or beside it
// has the focus.
export function keepFocus(container, change) {
  const focused = document.activeElement;
  const within = container.contains(focused);
  change();
  if (!within || container.contains(document.activeElement)) return;
  if (container.contains(focused)) focused.focus();
  else focusIn(container, container.nextElementSibling, container.previousElementSibling);
}

// Shows parts in an element, each [name, key, make]: one whose key is as before stays as it is, with what is open,
// selected or focused in it. A part that makes nothing is left out.
const shown = new WeakMap();

export function refresh(container, parts) {
  const before = shown.get(container) ?? new Map();
  const now = new Map(parts.map(([name, value, make]) => {
    const key = JSON.stringify(value) ?? "";
    const old = before.get(name);
    return [name, old?.key === key ? old : { key, node: make() }];
  }));
  shown.set(container, now);
  const nodes = [...now.values()].map(({ node }) => node).filter(Boolean);
  keepFocus(container, () => {
    for (const child of [...container.childNodes]) if (!nodes.includes(child)) child.remove();
    nodes.forEach((node, at) => { if (container.childNodes[at] !== node) container.insertBefore(node, container.childNodes[at] ?? null); });
  });
}

// Shows these nodes in place of all that is in an element.
export function replace(container, ...nodes) {
  shown.delete(container);
  keepFocus(container, () => container.replaceChildren(...nodes));
}

// Takes an element away; where the focus was in it, it goes to the next control, or to where files are chosen.
export function takeAway(node) {
  const focused = node.contains(document.activeElement);
  const { nextElementSibling: next, previousElementSibling: before } = node;
  node.remove();
  if (focused) focusIn(next, before);
}

// Hides a control, or shows it; where it has the focus and goes, `next` gets it.
export function hide(node, hidden, next) {
  const focused = document.activeElement === node;
  node.hidden = hidden;
  if (hidden && focused) next?.focus();
}
