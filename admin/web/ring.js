// Draws the ring: outside, an arc for each host as long as its share of the
// slots; inside, a thinner one for its share of the open sessions.
import { colour, el, keyed, mark, number, percent, svg, text } from "./dom.js";
import { condition } from "./hosts.js";

const OUTER = 92;
const INNER = 68;
const GAP = 1.2; // between arcs, in units of the drawing

const picture = document.getElementById("ring");
const legend = document.getElementById("legend");

export function showRing({ status, hosts }) {
  const sessions = hosts.reduce((sum, h) => sum + h.sessions, 0);
  keyed(picture.querySelector(".shares"), placed(hosts, (h) => h.share), (h) => h.name, (h) => arc(h, OUTER));
  keyed(picture.querySelector(".sessions"), placed(hosts, (h) => h.sessions / (sessions || 1)), (h) => h.name, (h) => arc(h, INNER));
  text(picture.querySelector(".count"), `${status.hosts.serving}/${status.hosts.total}`);
  text(picture.querySelector(".label"), status.frozen ? "serving · frozen" : "hosts serving");
  mark(picture, "data-frozen", status.frozen || null);
  text(picture.querySelector("desc"), hosts.map((h) => `${h.name}: ${percent(h.share)}, ${condition(h)}`).join("; "));
  keyed(legend, hosts, (h) => h.name, entry);
}

// placed lists the hosts that have a part of the circle, each with where it
// begins and how long it is, of 1.
function placed(hosts, partOf) {
  let start = 0;
  return hosts.filter((h) => partOf(h) > 0).map((h) => {
    const part = { ...h, start, length: partOf(h) };
    start += part.length;
    return part;
  });
}

function arc(host, radius) {
  const title = svg("title");
  const node = svg("circle", { r: radius, stroke: colour(host.name), pathLength: 360 }, title);
  node.update = (h) => {
    const gap = h.length === 1 ? 0 : Math.min(GAP, (h.length * 360) / 2);
    mark(node, "stroke-dasharray", `${h.length * 360 - gap} 360`);
    mark(node, "stroke-dashoffset", `${-h.start * 360}`);
    mark(node, "data-dim", !h.serving || null);
    text(title, `${h.name} · ${percent(h.share)} of the ring · ${number(h.sessions)} sessions · ${condition(h)}`);
  };
  return node;
}

function entry(host) {
  const swatch = el("i", { class: "swatch" });
  swatch.style.setProperty("--colour", colour(host.name));
  const share = el("span", { class: "number" });
  const about = el("span", { class: "quiet" });
  const node = el("li", {}, swatch, el("b", {}, host.name), about, share);
  node.update = (h) => {
    text(share, percent(h.share));
    text(about, h.serving ? "" : condition(h));
    mark(node, "data-dim", !h.serving || null);
  };
  return node;
}
