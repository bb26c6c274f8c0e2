// The dashboard: keeps the page equal to what the balancer says, live.
import { call, takeFragment } from "./api.js";
import { ago, colour, el, keyed, mark, number, span, text } from "./dom.js";
import "./explain.js";
import { condition, showHosts } from "./hosts.js";
import { showRing } from "./ring.js";

const byId = (id) => document.getElementById(id);
const RETRY = 3000; // milliseconds
const WARN_DAYS = 14; // before a certificate ends

takeFragment(); // a sign-in link that was opened while signed in
connect();

// connect listens for events. EventSource reconnects by itself after the network
// failed, but not after an answer like 401 or 503.
function connect() {
  const events = new EventSource("/events");
  events.addEventListener("overview", (event) => {
    live(true);
    show(JSON.parse(event.data));
  });
  events.addEventListener("error", async () => {
    live(false);
    if (events.readyState !== EventSource.CLOSED) {
      return;
    }
    try {
      await call("GET", "/v1/status");
    } catch (err) {
      if (err.status === 401) {
        location.reload(); // to the sign-in form
        return;
      }
    }
    setTimeout(connect, RETRY);
  });
}

function live(is) {
  text(byId("live"), is ? "live" : "reconnecting");
  mark(byId("live"), "data-is", is ? "up" : "down");
  mark(document.body, "data-stale", is ? null : "true");
}

function show(overview) {
  const { status, hosts, ring } = overview;
  hosts.forEach((h) => colour(h.name)); // given out in the list's order, so that every page shows the same ones
  document.title = `${status.alarm ? "⚠ " : ""}${status.hosts.serving}/${status.hosts.total} serving · ${status.name} · Tokenring`;
  text(byId("uptime"), `up ${span(status.uptime_seconds)}`);
  showAlarm(status);
  showTiles(status, hosts);
  showRing(overview);
  showHosts(hosts);
  showPeers(status, ring);
  showCertificates(status.certificates);
  announce(hosts);
}

function showAlarm(status) {
  const alarm = status.alarm || (status.frozen ? "The ring is frozen." : status.ready ? "" : `This balancer takes no traffic: ${status.not_ready}`);
  const since = status.frozen && status.frozen_since ? ` Frozen for ${ago(status.frozen_since)}.` : "";
  byId("alarm").hidden = alarm === "";
  text(byId("alarm"), alarm + since);
}

let before = null; // requests so far, and when that was

function showTiles(status, hosts) {
  const requests = hosts.reduce((sum, h) => sum + h.requests, 0);
  const now = performance.now();
  if (before && now - before.at > 900) {
    const rate = Math.max(0, ((requests - before.requests) * 1000) / (now - before.at));
    text(byId("rate"), rate < 10 ? rate.toFixed(1) : number(Math.round(rate)));
  }
  if (!before || now - before.at > 900) {
    before = { requests, at: now };
  }
  text(byId("serving"), `${status.hosts.serving} of ${status.hosts.total}`);
  mark(byId("serving"), "data-bad", status.hosts.serving < status.hosts.total || null);
  text(byId("sessions"), number(status.sessions));
  text(byId("in-flight"), number(status.in_flight));
  const lost = status.peers.filter((p) => !p.alive).length;
  const others = status.peers.length;
  text(byId("agree"), others === 0 ? "alone" : !status.agree ? "differ" : lost > 0 ? `${lost} lost` : "agree");
  mark(byId("agree"), "data-bad", !status.agree || lost > 0 || null);
}

function showPeers(status, ring) {
  const { load, partitions, replicas } = ring.parameters;
  const details = partitions ? `, ${replicas} replicas, load ${load}` : "";
  text(byId("policy"), `Policy ${ring.policy}: ${number(ring.slots)} slots${details}${ring.rebuilding ? " (being rebuilt)" : ""}`);
  const self = { name: status.name, version: status.version, ring_digest: status.ring_digest, alive: true, agrees: true, self: true };
  keyed(byId("peers"), [self, ...status.peers], (p) => p.name, (p) => {
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
  });
}

function showCertificates(certificates) {
  byId("certificates-card").hidden = certificates.length === 0;
  keyed(byId("certificates"), certificates, (c) => `${c.file} ${c.names.join(" ")}`, (c) => {
    const badge = el("span", { class: "badge" });
    const about = el("span", { class: "quiet" });
    const node = el("li", {}, badge, el("b", {}, c.names.join(", ")), about);
    node.update = (d) => {
      const left = d.not_after ? (Date.parse(d.not_after) - Date.now()) / 1000 : 0;
      text(badge, !d.not_after ? "none yet" : left < 0 ? "expired" : span(left));
      mark(badge, "data-is", left <= 0 ? "down" : left < WARN_DAYS * 86400 || d.problem ? "drain" : "up");
      text(about, [d.not_after && `until ${d.not_after.slice(0, 10)}`, d.problem].filter(Boolean).join(" · "));
    };
    return node;
  });
}

let known = null; // the hosts' conditions last announced

// announce tells screen readers which hosts have changed.
function announce(hosts) {
  const now = new Map(hosts.map((h) => [h.name, condition(h)]));
  if (known) {
    const news = [];
    now.forEach((is, name) => known.get(name) !== is && news.push(`${name} is ${is}`));
    known.forEach((_, name) => now.has(name) || news.push(`${name} is gone`));
    if (news.length > 0) {
      text(byId("news"), news.join(", "));
    }
  }
  known = now;
}

byId("signout").addEventListener("click", async () => {
  await call("POST", "/signout").catch(() => {});
  location.reload();
});
