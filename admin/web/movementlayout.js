// Computes the layout of the picture of a movement of keys. Each host has a row, with a
// bar for its share before on the left and a bar for its share after on the right. Each
// share of the keys is a ribbon from bar to bar. Arithmetic only: layOut takes the answer
// of a what-if question and returns positions in pixels from the top.

import { byName } from "./dom.js";

const ROW = 17; // the least height of a row in pixels: a line of text
const GAPS = 90; // pixels of all gaps together, if there are few rows
const GAP = 2; // pixels between two rows, if there are many
export const REST = "(others)"; // the row of the hosts without a row of their own; it isn't the name of a host

// layOut returns the rows from top to bottom, the ribbons, and the whole height. At least
// height pixels are for the keys. If there are more than most hosts, those that move
// least share one row.
export function layOut(answer, { most, height }) {
  const { hosts, routes } = fold(merge(answer), answer.routes.filter((r) => r.share > 0), most); // without the routes of terminals alone
  const room = Math.max(height, hosts.length * ROW);
  const gap = Math.max(GAP, Math.min(8, GAPS / hosts.length));
  let top = 0;
  const rows = hosts.map((h) => {
    const row = { ...h, top, height: Math.max(ROW, Math.max(h.before, h.after) * room) };
    const bar = (share) => ({ top: top + (row.height - share * room) / 2, height: share * room });
    Object.assign(row, { left: bar(h.before), right: bar(h.after) });
    top += row.height + gap;
    return row;
  });
  return { rows, ribbons: ribbons(rows, flows(hosts, routes, answer.routes_left_out > 0), room), height: Math.max(0, top - gap) };
}

// merge lists the hosts of before and after, each once. If one side has no hosts, its
// keys belong to no host: a row with the name "", which is the last.
function merge({ before, after, routes }) {
  const hosts = new Map();
  const of = (name) => hosts.get(name) || hosts.set(name, { name, before: 0, after: 0 }).get(name);
  before.hosts.forEach((h) => Object.assign(of(h.host), { before: h.share, was: h }));
  after.hosts.forEach((h) => Object.assign(of(h.host), { after: h.share, is: h }));
  const noHost = (end) => routes.filter((r) => r[end] === "").reduce((sum, r) => sum + r.share, 0);
  if (before.hosts.length === 0 || after.hosts.length === 0) {
    Object.assign(of(""), { before: noHost("from"), after: noHost("to") });
  }
  return [...hosts.values()].sort((a, b) => (a.name === "") - (b.name === "") || byName(a.name, b.name));
}

// fold puts the hosts that move least into one row.
function fold(hosts, routes, most) {
  if (hosts.length <= most) {
    return { hosts, routes };
  }
  const part = new Map(hosts.map((h) => [h.name, Math.abs(h.after - h.before)]));
  const first = [...hosts].sort((a, b) => part.get(b.name) - part.get(a.name)).slice(0, most - 1);
  const own = new Set(first.map((h) => h.name));
  const rest = { name: REST, before: 0, after: 0, folded: hosts.length - own.size };
  hosts.filter((h) => !own.has(h.name)).forEach((h) => {
    rest.before += h.before;
    rest.after += h.after;
  });
  return { hosts: [...hosts.filter((h) => own.has(h.name)), rest], routes: gather(routes, (name) => (own.has(name) ? name : REST)) };
}

// gather adds up the routes between the same rows, and leaves out routes within one row.
function gather(routes, rowOf) {
  const sums = new Map();
  for (const r of routes) {
    const [from, to] = [rowOf(r.from), rowOf(r.to)];
    const sum = sums.get(`${from}\n${to}`) || { from, to, share: 0, sessions: 0 };
    sum.share += r.share;
    sum.sessions += r.sessions || 0;
    sums.set(`${from}\n${to}`, sum);
  }
  return [...sums.values()].filter((r) => r.from !== r.to);
}

// flows returns the routes, and the shares that stay where they are. These aren't known
// if the answer leaves out routes.
function flows(hosts, routes, partial) {
  const gone = new Map();
  routes.forEach((r) => gone.set(r.from, (gone.get(r.from) || 0) + r.share));
  const stays = partial ? [] : hosts.map((h) => ({ from: h.name, to: h.name, share: h.before - (gone.get(h.name) || 0), stays: true }));
  return [...stays.filter((f) => f.share > 1e-9), ...routes];
}

// ribbons stacks the flows on the bars, so that few of them cross: flows that go up on
// top, those that stay in the middle, those that go down at the bottom.
function ribbons(rows, all, room) {
  const place = new Map(rows.map((row, i) => [row.name, { i, out: row.left.top, in: row.right.top }]));
  const list = all.map((f) => ({ ...f, height: f.share * room }));
  const order = (one, other) => (a, b) => place.get(a[one]).i - place.get(b[one]).i || place.get(a[other]).i - place.get(b[other]).i;
  for (const r of [...list].sort(order("from", "to"))) {
    r.start = place.get(r.from).out;
    place.get(r.from).out += r.height;
  }
  for (const r of [...list].sort(order("to", "from"))) {
    r.end = place.get(r.to).in;
    place.get(r.to).in += r.height;
  }
  return list;
}
