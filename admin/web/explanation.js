// Draws why a token goes to its host, as a line: first what takes precedence over the
// ring, then the token's place on the ring, and then the hosts in the order in which they
// are tried.
import { count, colour, el, number, percent, svg, swatch } from "./dom.js";

const AROUND = 2 ** 32; // positions on a ring of points
const NEAR = 2; // hosts shown after the one that serves; the others are folded

// chain makes the picture for the answer of POST /v1/explain.
export function chain(e) {
  const tried = e.candidates.filter((c) => c.role !== "outside");
  const outside = e.candidates.filter((c) => c.role === "outside");
  const next = waits(e) ? undefined : tried.find((c) => !c.chosen && able(c));
  const stations = tried.map((c) => station(c, e, next));
  const end = Math.max(tried.findIndex((c) => c.chosen), tried.indexOf(next)) + 1 + NEAR;
  const shown = stations.length - end > 1 ? end : stations.length;
  return el("div", { class: "trail" },
    el("ol", { class: "chain" }, ...first(e), place(e), ...stations.slice(0, shown)),
    fold(`${count(stations.length - shown, "more host")}, in this order`, stations.slice(shown)),
    fold(`${count(outside.length, "host")} not in the ring`, outside.map((c) => station(c, e))));
}

// waits reports whether no other host gets the token while its host can't serve.
function waits(e) {
  return e.rule === "frozen" || e.rule === "moving";
}

// able reports whether a host could serve the token if those before it didn't.
function able(c) {
  return c.state === "ready" && c.verdict === "up" && !/^(in slow start|full)\b/.test(c.why_not || "");
}

// first is what takes precedence over the ring: a live session, here or through another
// balancer, the token's last use, or its earlier placement.
function first(e) {
  const stay = e.stays && e.stays[0];
  const why = e.session ? `${count(e.session.tunnels, "live terminal")}` : stay ? stayed(stay) : e.rule === "placed" ? "placed here earlier" : "";
  if (!why) {
    return [];
  }
  const host = (e.session || stay || e).host;
  const serves = host === e.host;
  return [item(serves ? "serves" : "cannot", dot(host), el("b", {}, host), `${why}${serves ? ", which takes precedence over the ring" : ""}`)];
}

// stayed says why a token stays on a host, without a terminal here.
function stayed(stay) {
  return stay.rule === "session-at-peer" ? `live terminals through ${stay.balancer}` : "used here lately";
}

// place is the token's place on the ring.
function place(e) {
  if (e.slot < 0) {
    return item("cannot", dial(), el("b", {}, "No ring"), "there are no hosts to place tokens on");
  }
  const onRing = e.point !== undefined && e.point !== null;
  const at = onRing ? e.point / AROUND : (e.slot + 0.5) / e.slots;
  const where = [onRing && `point ${number(e.point)} of 2³²`, e.slot_share > 0 && `${percent(e.slot_share)} of all tokens`].filter(Boolean).join(", ");
  return item("place", dial(at, e.owner), el("b", {}, `Slot ${number(e.slot)} of ${number(e.slots)}`), where, el("span", {}, "ring ", el("code", {}, e.ring_digest)));
}

// dial draws a small ring: a circle with a tick at the fraction at of it.
function dial(at, owner) {
  const tick = at === undefined ? null : svg("line", { y1: -8, y2: -18, transform: `rotate(${at * 360})` });
  tick?.style.setProperty("--colour", owner ? colour(owner) : "currentColor");
  return svg("svg", { class: "dial", viewBox: "-18 -18 36 36", "aria-hidden": "true" }, svg("circle", { r: 13 }), tick);
}

// station is one host in the line.
function station(c, e, next) {
  const kind = c.chosen ? "serves" : c === next ? "next" : able(c) && !waits(e) ? "later" : "cannot";
  const why = c.chosen ? "serves" : c === next ? `next, if ${e.host || "it"} couldn't serve` : c.why_not;
  return item(kind, dot(c.host), el("b", {}, c.host), [c.role !== "outside" && c.role, why].filter(Boolean).join(" · "));
}

function dot(host) {
  const node = swatch(host);
  node.className = "stop";
  return node;
}

function item(kind, sign, name, ...about) {
  return el("li", { "data-is": kind }, sign, name, ...about.filter(Boolean).map((part) => el("span", { class: "quiet" }, part)));
}

function fold(title, stations) {
  return stations.length > 0 ? el("details", {}, el("summary", {}, title), el("ol", { class: "chain" }, ...stations)) : null;
}
