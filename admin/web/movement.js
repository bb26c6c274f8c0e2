// Shows the answer of POST /v1/whatif: figures, a picture of the shares before and after,
// and the same as tables.
import { byName, colour, count, el, mark, number, percent, svg, swatch } from "./dom.js";
import { layOut, REST } from "./movementlayout.js";
import { ending, nameTag, without } from "./names.js";

const LISTED = 50; // routes in the table
const MANY = 300; // more ribbons than can be distinguished

// movement makes the elements of an answer. size is the picture's size, as layOut takes
// it. If overridable is true, a note says whether the change needs confirmation.
export function movement(answer, { overridable = false, ...size }) {
  const plan = layOut(answer, size);
  const many = plan.ribbons.length > MANY;
  return el("div", { class: "movement" }, figures(answer), ...notes(answer, many, overridable), picture(plan, many, summary(answer)), tables(answer));
}

// summary is the answer in a sentence.
export function summary(a) {
  const tokens = a.moved === 0 ? "No tokens would move" : `${percent(a.moved)} of the tokens would move`;
  return a.sessions > 0 ? `${tokens}, and ${terminals(a)} open terminals would change hosts when they reconnect.` : `${tokens}.`;
}

function terminals(a) {
  return `${a.sessions_exact ? "" : "about "}${number(a.sessions_moved)} of ${number(a.sessions)}`;
}

function figures(a) {
  const figure = (name, value, about) => el("div", {}, el("dt", {}, name), el("dd", {}, value), el("dd", { class: "quiet" }, about));
  return el("dl", { class: "figures" },
    figure("Tokens that move", percent(a.moved), "of all"),
    figure("Must move", percent(a.ideal), "for fair shares before and after"),
    figure("Go astray", percent(a.astray), "between hosts that don't change"),
    figure("Terminals that move", a.sessions === 0 ? "none" : terminals(a),
      a.sessions === 0 ? "is open here" : "of those open here, when they reconnect"));
}

function notes(a, many, overridable) {
  return [
    a.before.policy !== a.after.policy && `The policy would be ${a.after.policy} instead of ${a.before.policy}.`,
    a.method === "independent" && "The two rings hash differently, so a token's host in one says nothing about its host in the other. The routes are products of shares.",
    overridable && a.needs_confirmation && `This change asks for confirmation, because it moves more than ${percent(a.confirm_share)}.`,
    many && "There are too many routes to distinguish. Point at a host to see its routes.",
    a.routes_left_out > 0 && `The picture doesn't show ${count(a.routes_left_out, "small route")}, and what stays.`,
  ].filter(Boolean).map((note) => el("p", { class: "quiet" }, note));
}

// picture draws the rows as a grid, so that the labels are text of the page. The ribbons
// are one drawing behind all rows.
function picture(plan, many, about) {
  const box = el("div", { class: "flows", "data-many": many, role: "img", "aria-label": `Shares of the hosts before and after. ${about}` });
  const left = el("div", { class: "before" });
  const right = el("div", { class: "after" });
  const common = ending(plan.rows.filter(isHost).map((row) => row.name));
  for (const row of plan.rows) {
    left.append(...end(row, row.left, [label(row, common), words(row.was || !isHost(row) ? percent(row.before) : "new")]));
    right.append(...end(row, row.right, [words(row.is || !isHost(row) ? percent(row.after) : "gone"), change(row)]));
  }
  box.style.setProperty("--longest", Math.max(0, ...plan.rows.map((row) => without(nameOf(row), common).length)));
  const drawing = svg("svg", { viewBox: `0 0 100 ${plan.height}`, preserveAspectRatio: "none" }, ...plan.ribbons.map(ribbon));
  [left, drawing, right].forEach((part) => part.style.setProperty("height", `${plan.height}px`));
  box.append(el("span", {}, "Before"), el("span"), el("span", {}, "After"), left, drawing, right);
  highlight(box);
  return box;
}

// isHost reports whether a row is that of one host. Other rows are that of no host (an
// empty ring), and that of all other hosts.
function isHost(row) {
  return row.name !== "" && !row.folded;
}

function nameOf(row) {
  return row.folded ? `${row.folded} others` : row.name || "no host";
}

function label(row, common) {
  const tag = nameTag(nameOf(row));
  tag.update(isHost(row) ? common : "");
  return tag;
}

function words(is) {
  return el("span", {}, is);
}

// tint returns the colour of a row. Only rows of one host have a colour of their own.
function tint(name) {
  return name === "" || name === REST ? "var(--quiet)" : colour(name);
}

// end is one end of a row: its bar, and its label in the middle of the row.
function end(row, bar, parts) {
  const block = el("i", { "data-host": row.name });
  block.style.setProperty("top", `${bar.top}px`);
  block.style.setProperty("height", `${bar.height}px`);
  block.style.setProperty("--colour", tint(row.name));
  const line = el("p", { "data-host": row.name }, ...parts.filter(Boolean).flatMap((part) => [part, " "]));
  line.style.setProperty("top", `${row.top + row.height / 2}px`);
  return [block, line];
}

function change(row) {
  const by = row.after - row.before;
  if (Math.abs(by) < 0.0005 || !row.was || !row.is) {
    return null;
  }
  return el("small", {}, `${by > 0 ? "+" : "−"}${(Math.abs(by) * 100).toFixed(1)}`);
}

function ribbon(r) {
  const { start, end: at, height } = r;
  const d = `M0 ${start}C50 ${start} 50 ${at} 100 ${at}v${height}C50 ${at + height} 50 ${start + height} 0 ${start + height}Z`;
  const about = r.stays ? `${percent(r.share)} stays on ${r.from}` : `${r.from || "no host"} → ${r.to || "no host"}: ${percent(r.share)}${r.sessions ? `, ${count(r.sessions, "terminal")}` : ""}`;
  const path = svg("path", { d, "data-stays": r.stays, "data-from": r.from, "data-to": r.to }, svg("title", {}, about));
  path.style.setProperty("--colour", tint(r.from));
  return path;
}

// highlight makes the ribbons of the host under the pointer stand out.
function highlight(box) {
  const light = (host) => {
    mark(box, "data-lit", host !== undefined);
    box.querySelectorAll("path").forEach((path) => mark(path, "data-lit", host !== undefined && [path.dataset.from, path.dataset.to].includes(host)));
  };
  box.addEventListener("pointerover", (event) => light(event.target.closest("[data-host]")?.dataset.host));
  box.addEventListener("pointerleave", () => light(undefined));
}

// tables show the same as the picture as text, with exact figures.
function tables(a) {
  const names = [...new Set([...a.before.hosts, ...a.after.hosts].map((h) => h.host))].sort(byName);
  const both = (name, show) => [a.before, a.after].map(({ hosts }) => {
    const host = hosts.find((h) => h.host === name);
    return host ? show(host) : "–";
  });
  const hosts = names.map((name) => [name, ...both(name, (h) => h.weight), ...both(name, (h) => percent(h.share)), ...both(name, (h) => number(h.sessions))]);
  const routes = a.routes.slice(0, LISTED).map((r) => [r.from, r.to, percent(r.share), number(r.sessions)]);
  const all = a.routes.length + a.routes_left_out;
  return el("details", {}, el("summary", {}, "In figures"),
    table("Hosts, before and after", ["Host", "Weight", "after", "Share", "after", "Terminals", "after"], hosts, 1),
    table(all > LISTED ? `The ${LISTED} largest of ${number(all)} routes` : "Routes", ["From", "To", "Share", "Terminals"], routes, 2));
}

// table makes a table. names is how many of its first columns are names.
function table(caption, heads, rows, names) {
  const content = (value, i) => (i < names ? [swatch(value), el("span", { class: "whole" }, value || "no host")] : [value]);
  const cell = (value, i) => el(i === 0 ? "th" : "td", { scope: i === 0 && "row", class: i >= names && "number" }, ...content(value, i));
  return el("table", { class: "figure" }, el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ...heads.map((head, i) => el("th", { scope: "col", class: i >= names && "number" }, head)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell)))));
}
