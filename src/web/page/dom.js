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

// Changes a text only where it differs: screen readers read again whatever is set.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Read aloud by screen readers, wherever the focus is.
export function announce(text) {
  say($("heard"), text);
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
  for (const child of [...container.childNodes]) if (!nodes.includes(child)) child.remove();
  nodes.forEach((node, at) => { if (container.childNodes[at] !== node) container.insertBefore(node, container.childNodes[at] ?? null); });
}

// Takes an element away; where the focus was in it, it goes to the next control, or to where files are chosen.
export function takeAway(node) {
  const focused = node.contains(document.activeElement);
  const next = node.nextElementSibling ?? node.previousElementSibling;
  node.remove();
  if (focused) (next?.querySelector("button, a, summary, input") ?? $("files")).focus();
}
