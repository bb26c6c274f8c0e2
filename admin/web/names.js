// Writes the names of hosts where there is little room for them, so that they can
// be told apart: what all of them end with is left out, and of what is too long
// for its place the middle. The whole name is the title.
import { el, text } from "./dom.js";

const SHORT = 6; // characters that have room everywhere
const LONG = 14; // characters that don't, where there are many columns
const TAIL = 5; // characters at the end of a name that isn't short; they are always shown

// ending returns what the names end with, all of them, from a separator on, such
// as a domain; "" if that is nothing, or if none of them is long.
export function ending(names) {
  if (names.length < 2 || names.every((name) => name.length <= LONG)) {
    return "";
  }
  const [first] = names;
  const most = Math.min(...names.map((name) => name.length)) - 1; // something is left of each
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

// nameTag makes the element of a name. Its method update takes the ending that is
// left out.
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
