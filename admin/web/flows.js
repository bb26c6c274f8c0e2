// Lays out the picture of a movement of keys: one row for each host, with a bar of
// what it has before on the left and of what it has after on the right, and a
// ribbon from bar to bar for each share of the keys. Arithmetic only: in goes a
// what-if's answer, out come places in pixels from the top.

import { byName } from "./dom.js";

const ROW = 17; // pixels that a row has at least: a line of text
const GAPS = 90; // pixels between all rows, if they are few
const GAP = 2; // pixels between two rows, if they are many
export const REST = "(others)"; // the row of the hosts that don't get one of their own; no host's name

// layOut returns the rows from top to bottom, the ribbons, and the height of it
// all; of that, at least height pixels are for the keys. Of more hosts than most,
// those with the least part in the movement share one row.
export function layOut(answer, { most, height }) {
  const { hosts, routes } = fold(merge(answer), answer.routes.filter((r) => r.share > 0), most); // the others are of terminals alone
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

// merge lists the hosts of before and after, each once. Where there are no hosts
// the keys are nobody's, whose name is "", and who comes last.
function merge({ before, after, routes }) {
  const hosts = new Map();
  const of = (name) => hosts.get(name) || hosts.set(name, { name, before: 0, after: 0 }).get(name);
  before.hosts.forEach((h) => Object.assign(of(h.host), { before: h.share, was: h }));
  after.hosts.forEach((h) => Object.assign(of(h.host), { after: h.share, is: h }));
  const nobody = (end) => routes.filter((r) => r[end] === "").reduce((sum, r) => sum + r.share, 0);
  if (before.hosts.length === 0 || after.hosts.length === 0) {
    Object.assign(of(""), { before: nobody("from"), after: nobody("to") });
  }
  return [...hosts.values()].sort((a, b) => (a.name === "") - (b.name === "") || byName(a.name, b.name));
}

// fold puts the hosts with the least part in the movement into one row.
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

// gather adds up the routes between the same rows, and leaves out those within one.
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

// flows is the routes and what stays where it is. The latter isn't known if routes
// were left out.
function flows(hosts, routes, partial) {
  const gone = new Map();
  routes.forEach((r) => gone.set(r.from, (gone.get(r.from) || 0) + r.share));
  const stays = partial ? [] : hosts.map((h) => ({ from: h.name, to: h.name, share: h.before - (gone.get(h.name) || 0), stays: true }));
  return [...stays.filter((f) => f.share > 1e-9), ...routes];
}

// ribbons stacks the flows on the bars: what goes up is on top, what stays in the
// middle, what goes down at the bottom, so that few of them cross.
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
