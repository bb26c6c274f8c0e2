// Draws the ring of the main pool: the shares of each pool are of its own ring. The outer ring has an arc for each host as long as its share of the
// slots. The inner ring has a thinner arc for its share of the open sessions. Beside it
// are the shares and the fair shares; below it is how keys are placed.
import { ago, clock, colour, count, el, keyed, mark, number, percent, svg, swatch, text } from "./dom.js";
import { condition, progress, weightOrigin } from "./hoststate.js";
import { ending, inMainPool, nameTag } from "./names.js";

const OUTER = 92;
const INNER = 68;
const GAP = 1.2; // between arcs, in units of the drawing

const picture = document.getElementById("ring");
const legend = document.getElementById("legend");

export function showRing({ status, hosts: all, ring }) {
  const hosts = all.filter(inMainPool);
  const sessions = hosts.reduce((sum, h) => sum + h.sessions, 0);
  keyed(picture.querySelector(".shares"), arcs(hosts, (h) => h.share, (h) => h.slow_start?.taken ?? 1), (a) => a.key, (a) => arc(a, OUTER));
  keyed(picture.querySelector(".sessions"), arcs(hosts, (h) => h.sessions / (sessions || 1), () => 1), (a) => a.key, (a) => arc(a, INNER));
  text(document.getElementById("ring-title"), hosts.length < all.length ? "Ring of the main pool" : "Ring");
  text(picture.querySelector(".count"), `${hosts.filter((h) => h.serving).length}/${hosts.length}`);
  text(picture.querySelector(".label"), status.frozen ? "serving · frozen" : "hosts serving");
  mark(picture, "data-frozen", status.frozen || null);
  text(picture.querySelector("desc"), hosts.map((h) => `${h.name}: ${percent(h.share)}, ${condition(h)}`).join("; "));
  showShares(hosts, ring.shares);
  showFacts(ring);
}

// arcs lists the arcs of the circle, each with its start and its length; the circle is 1.
// The part that a host in slow start hasn't taken yet is a pale arc of its own.
function arcs(hosts, partOf, takenOf) {
  let start = 0;
  const list = [];
  const add = (host, key, length, pale) => {
    if (length > 0) {
      list.push({ host, key, start, length, pale });
      start += length;
    }
  };
  for (const h of hosts) {
    add(h, h.name, partOf(h) * takenOf(h), !h.serving);
    add(h, `${h.name}, later`, partOf(h) * (1 - takenOf(h)), true);
  }
  return list;
}

function arc({ host }, radius) {
  const title = svg("title");
  const node = svg("circle", { r: radius, stroke: colour(host.name), pathLength: 360 }, title);
  node.update = (a) => {
    const gap = a.length === 1 ? 0 : Math.min(GAP, (a.length * 360) / 2);
    mark(node, "stroke-dasharray", `${a.length * 360 - gap} 360`);
    mark(node, "stroke-dashoffset", `${-a.start * 360}`);
    mark(node, "data-dim", a.pale || null);
    text(title, `${a.host.name} · ${percent(a.host.share)} of the ring · ${number(a.host.sessions)} sessions · ${condition(a.host)}`);
  };
  return node;
}

// showShares lists the hosts, each with a bar as long as its share and a tick at its fair
// share. All bars have the same scale.
function showShares(hosts, shares) {
  const placed = new Map(shares.map((s) => [s.host, s]));
  const entries = hosts.map((h) => ({ ...h, placed: placed.get(h.name) }));
  const scale = Math.max(...shares.map((s) => Math.max(s.share, s.fair)), 0) || 1;
  const end = ending(hosts.map((h) => h.name));
  keyed(legend, entries.map((e) => ({ ...e, scale, end })), (e) => e.name, entry);
}

function entry(host) {
  const about = el("small");
  const name = nameTag(host.name);
  const bar = el("span", { class: "bullet" }, el("i"));
  bar.style.setProperty("--colour", colour(host.name));
  const [share, ratio, weight] = ["td", "td", "td"].map((tag) => el(tag, { class: "number" }));
  const node = el("tr", {}, el("th", { scope: "row" }, swatch(host.name), name, about), el("td", {}, bar), share, ratio, weight);
  node.update = (h) => {
    const p = h.placed;
    name.update(h.end);
    mark(node, "data-dim", !h.serving || null);
    text(about, !h.serving ? condition(h) : h.slow_start ? progress(h) : h.full ? "full" : "");
    bar.style.setProperty("--share", p ? p.share / h.scale : 0);
    bar.style.setProperty("--fair", p ? p.fair / h.scale : 0);
    bar.style.setProperty("--taken", h.slow_start?.taken ?? 1);
    mark(bar, "data-placed", Boolean(p));
    mark(bar, "title", p && `${percent(p.share)} of the slots; ${percent(p.fair)} would be fair`);
    text(share, percent(h.share));
    text(ratio, p ? p.ratio.toFixed(2) : "–");
    text(weight, h.weight);
    mark(weight, "data-override", Boolean(h.weight_decided));
    mark(weight, "title", weightOrigin(h) || null);
  };
  return node;
}

// showFacts says how keys are placed, in the words of lb.yaml, and by which table. A
// balancer of an earlier version leaves some of this out.
function showFacts(ring) {
  const parameters = Object.entries(ring.parameters).map(([name, value]) => `${name} ${value}`);
  text(document.getElementById("policy"), line(
    parameters.length > 0 ? `${ring.policy}: ${parameters.join(", ")}` : ring.policy,
    ring.slow_start_seconds > 0 && `slow start ${ring.slow_start_seconds} s`,
    ring.bounded_load > 0 && `bounded load ${ring.bounded_load}`));
  text(document.getElementById("key"), ring.key?.join(", then ") || "–");
  text(document.getElementById("table"), line(
    count(ring.slots, "slot"),
    ring.version !== undefined && `version ${ring.version}`,
    ring.built_at && `built ${ago(ring.built_at)} ago, ${clock(ring.built_at)}`,
    ring.rebuilding && "the next is being built"));
}

function line(...parts) {
  return parts.filter(Boolean).join(" · ");
}
