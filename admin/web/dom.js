// Small functions that build and update the page. They write only text and attributes,
// never markup.

const SVG = "http://www.w3.org/2000/svg";

// el makes an HTML element; children are nodes or texts.
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// svg makes an SVG element.
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

// text sets a node's text if it differs, so that the user's selection isn't lost.
export function text(node, value) {
  const wanted = String(value);
  if (node.textContent !== wanted) {
    node.textContent = wanted;
  }
}

// mark sets or removes an attribute, if that changes anything.
export function mark(node, name, value) {
  if (value === null || value === undefined || value === false) {
    node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

// keyed makes parent's children one per item, in the items' order. make(item)
// returns a new node with a method update(item).
export function keyed(parent, items, key, make) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const wanted = new Set(items.map(key));
  old.forEach((node, name) => wanted.has(name) || node.remove()); // first, so that the nodes that stay don't move, and keep the focus
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let node = old.get(name);
    if (!node) {
      node = make(item);
      node.dataset.key = name;
    }
    if (node === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(node, place);
    }
    node.update(item);
  }
}

// Each host has a colour of its own as long as the page is open. The first colours are
// chosen by hand, the others are spread over the hues.
const palette = ["#2f7de1", "#e8833a", "#2aa775", "#c2569b", "#8a6fe0", "#c9a227", "#22a6b8", "#d6524a", "#7a9a3a", "#8d7365"];
const indices = new Map();

export function colour(name) {
  if (!indices.has(name)) {
    indices.set(name, indices.size);
  }
  const i = indices.get(name);
  return palette[i] || `oklch(0.66 0.14 ${Math.round(i * 137.5) % 360})`;
}

// swatch makes a small square of a host's colour.
export function swatch(name) {
  const node = el("i", { class: "swatch" });
  node.style.setProperty("--colour", name ? colour(name) : "transparent");
  return node;
}

// percent writes a share of 0 to 1. A very small share isn't written as 0.
export function percent(share) {
  if (!share) {
    return "0 %";
  }
  return share < 0.0005 ? "< 0.1 %" : `${(share * 100).toFixed(1)} %`;
}

// number writes a count so that it can be read at a glance.
export function number(n) {
  return n.toLocaleString("en-GB");
}

// byName orders things as people count: ide-2 before ide-10.
export const byName = new Intl.Collator("en", { numeric: true }).compare;

// count writes a number of things. one and several are the words for one and for more.
export function count(n, one, several = `${one}s`) {
  return `${number(n)} ${n === 1 ? one : several}`;
}

// clock writes the time of day of a moment, with its date if it isn't today.
export function clock(time) {
  const at = new Date(time);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.toLocaleDateString("en-GB")} `;
  return `${day}${at.toLocaleTimeString("en-GB")}`;
}

// ago says how long ago a time was.
export function ago(time, now = Date.now()) {
  return span((now - Date.parse(time)) / 1000);
}

// span writes a duration in its largest unit.
export function span(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= 2 * size) {
      return `${Math.floor(seconds / size)} ${unit}`;
    }
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}
