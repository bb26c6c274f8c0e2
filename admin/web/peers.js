// The balancers, and whether they place tokens differently.
import { ago, clock, el, keyed, mark, text } from "./dom.js";

const list = document.getElementById("peers");
const notice = document.getElementById("disagreement");
const digests = document.getElementById("digests");

export function showPeers(status, ring) {
  const self = { name: status.name, version: status.version, ring_digest: status.ring_digest, alive: true, agrees: true, self: true };
  const all = [self, ...status.peers];
  showDisagreement(all, status.agree, ring.disagree_since);
  keyed(list, all, (p) => p.name, balancer);
}

// showDisagreement shows the balancers' digests side by side while they differ.
function showDisagreement(all, agree, since) {
  document.getElementById("differ").hidden = agree;
  if (agree) {
    return;
  }
  const others = all.filter((p) => p.alive && !p.agrees).map((p) => p.name);
  const duration = since ? `, for ${ago(since)} now (since ${clock(since)})` : "";
  text(notice, `${others.join(", ")} ${others.length === 1 ? "has" : "have"} another ring than this balancer${duration}.`);
  keyed(digests, byDigest(all.filter((p) => p.alive)), (g) => g.digest, box);
}

// byDigest groups balancers that place tokens alike.
function byDigest(balancers) {
  const groups = new Map();
  for (const p of balancers) {
    groups.set(p.ring_digest, [...(groups.get(p.ring_digest) || []), p]);
  }
  return [...groups].map(([digest, members]) => ({ digest, members }));
}

// box shows one digest and the balancers that have it.
function box() {
  const digest = el("code");
  const members = el("span");
  const node = el("li", {}, digest, members);
  node.update = (g) => {
    text(digest, g.digest || "no ring");
    text(members, g.members.map((p) => (p.self ? `${p.name} (this one)` : p.name)).join(", "));
    mark(node, "data-ours", g.members.some((p) => p.self) || null);
  };
  return node;
}

function balancer(p) {
  const badge = el("span", { class: "badge" });
  const about = el("span", { class: "quiet" });
  const digest = el("code");
  const node = el("li", {}, badge, el("b", {}, p.name), about, digest);
  node.update = (q) => {
    text(badge, q.self ? "this one" : !q.alive ? "lost" : q.agrees ? "agrees" : "differs");
    mark(badge, "data-is", !q.alive ? "down" : q.agrees ? "up" : "drain");
    text(about, [q.version, q.address, q.since && `for ${ago(q.since)}`].filter(Boolean).join(" · "));
    text(digest, q.ring_digest || "no ring");
  };
  return node;
}
