// Describes the state of a host in words. A balancer of an earlier version leaves out
// what it doesn't know: operators' weights, slow starts, and full hosts.
import { ago, span } from "./dom.js";

// condition returns the state in a word or two. The text changes only with the state.
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
  if (h.verdict === "up" && h.waits && !h.serving) {
    return "waits";
  }
  if (h.verdict === "up" && h.slow_start) {
    return "in slow start";
  }
  if (h.returns_at) {
    return "returning";
  }
  return h.verdict === "up" && h.full ? "full" : h.verdict;
}

// returning says how long a host that was down has been steady, and how long it must be until it
// gets its tokens back; "" if it doesn't return.
export function returning(h, now = Date.now()) {
  if (!h.returns_at) {
    return "";
  }
  if (!h.steady_since) {
    return "returning, not steady yet";
  }
  const since = Date.parse(h.steady_since);
  const must = Math.round((Date.parse(h.returns_at) - since) / 1000);
  return `returning, steady for ${Math.min(must, Math.max(0, Math.round((now - since) / 1000)))} s of ${must} s`;
}

// progress says how much of its tokens a host in slow start has.
export function progress(h) {
  return `slow start ${Math.floor(h.slow_start.taken * 100)} %`;
}

// slowStartEnds says when a host in slow start has taken all of its tokens.
export function slowStartEnds(h, now = Date.now()) {
  return `all of its tokens in ${span((Date.parse(h.slow_start.until) - now) / 1000)}`;
}

// listedBy says which operator has added the host, why and when; "" if none did.
export function listedBy(h) {
  const d = h.listed_by;
  if (!d) {
    return "";
  }
  const when = d.since ? `${ago(d.since)} ago` : "";
  return [`listed by ${d.by}`, d.reason, when].filter(Boolean).join(" · ");
}

// weightOrigin returns the host's own weight, and which operator set another, why and
// when; "" if no operator did.
export function weightOrigin(h) {
  const d = h.weight_decided;
  if (!d) {
    return "";
  }
  const when = d.since ? `${ago(d.since)} ago` : "";
  return [`its own is ${h.announced_weight}`, d.reason, d.by && `by ${d.by}`, when].filter(Boolean).join(" · ");
}
