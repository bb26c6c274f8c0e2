// Says in words how a host is. A balancer of an earlier version leaves out what it
// doesn't know of: weights that operators set, warming up, and full hosts.
import { ago, span } from "./dom.js";

// condition says it in a word or two, the same for as long as nothing changes.
export function condition(h) {
  if (h.leaving) {
    return "leaving";
  }
  if (h.state !== "ready") {
    return h.state;
  }
  if (h.verdict === "up" && !h.in_ring) {
    return h.why_not;
  }
  if (h.verdict === "up" && h.warming) {
    return "warming up";
  }
  return h.verdict === "up" && h.full ? "full" : h.verdict;
}

// warmth says how far a host that warms up has come.
export function warmth(h) {
  return `warming ${Math.floor(h.warming.taken * 100)} %`;
}

// warmUntil says when a host that warms up has taken all of its tokens.
export function warmUntil(h, now = Date.now()) {
  return `all of its tokens in ${span((Date.parse(h.warming.until) - now) / 1000)}`;
}

// weightOrigin says who has set a host's weight, and what the host itself says; ""
// if nobody has set another.
export function weightOrigin(h) {
  const d = h.weight_decided;
  if (!d) {
    return "";
  }
  const when = d.since ? `${ago(d.since)} ago` : "";
  return [`its own is ${h.announced_weight}`, d.reason, d.by && `by ${d.by}`, when].filter(Boolean).join(" · ");
}
