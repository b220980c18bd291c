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
