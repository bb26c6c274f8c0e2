// Writes the names of hosts where there is little room, so that they can be
// distinguished. It leaves out the ending that all names have, and the middle of a name
// that is still too long. The title has the whole name.
import { el, text } from "./dom.js";

const SHORT = 6; // a name of so many characters has room everywhere
const LONG = 14; // a name of more characters has no room if there are many columns
const TAIL = 5; // characters at the end of a longer name that are always shown

// ending returns the ending that all names have, from a separator on, such as a domain;
// "" if there is none, or if no name is long.
export function ending(names) {
  if (names.length < 2 || names.every((name) => name.length <= LONG)) {
    return "";
  }
  const [first] = names;
  const most = Math.min(...names.map((name) => name.length)) - 1; // each name keeps at least one character
  let length = 0;
  while (length < most && names.every((name) => name.at(-1 - length) === first.at(-1 - length))) {
    length++;
  }
  return first.slice(first.length - length).match(/[._-].*$/s)?.[0] ?? "";
}

// without returns a name without the ending that all names have.
export function without(name, end) {
  return end === "" || !name.endsWith(end) ? name : `${name.slice(0, -end.length)}…`;
}

// poolOf returns the pool of a host, with which its name begins; undefined for the main one.
export function poolOf(host) {
  return host.name.match(/^(.*?)\//)?.[1];
}

// inMainPool reports whether a host is of the main pool.
export function inMainPool(host) {
  return poolOf(host) === undefined;
}

// nameTag makes the element of a name. Its method update takes the ending to leave out.
export function nameTag(name) {
  const [head, tail] = [el("span"), el("span")];
  const node = el("b", { class: "name", title: name }, head, tail);
  node.update = (end) => {
    const shown = without(name, end);
    const at = shown.length > SHORT ? shown.length - TAIL : shown.length;
    text(head, shown.slice(0, at));
    text(tail, shown.slice(at));
  };
  return node;
}
