// The dashboard: keeps the page up to date with the balancer.
import { call, takeFragment } from "./api.js";
import { setLimit } from "./override.js";
import { ago, byName, colour, el, keyed, mark, number, span, text } from "./dom.js";
import "./explain.js";
import { watchGenerations } from "./generations.js";
import { announce, showHosts } from "./hosts.js";
import { showPeers } from "./peers.js";
import { showRing } from "./ring.js";
import { watchRoutes } from "./routes.js";
import { showWhatif } from "./whatif.js";

const byId = (id) => document.getElementById(id);
const RETRY = 3000; // milliseconds
const SILENCE = 10000; // milliseconds; there is an event every second
const WARN_DAYS = 14; // before a certificate ends

takeFragment(); // a sign-in link that was opened while signed in
addEventListener("hashchange", takeFragment); // or put into the address bar
connect();
watchGenerations();
watchRoutes();

// connect listens for events. EventSource reconnects by itself after a failure of the
// network, but not after an answer such as 401 or 503, and not when events stop coming, as
// after a laptop's sleep.
function connect() {
  const events = new EventSource("/events");
  let silence;
  const wait = () => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      events.close();
      live(false);
      connect();
    }, SILENCE);
  };
  wait();
  events.addEventListener("overview", (event) => {
    wait();
    live(true);
    show(JSON.parse(event.data));
  });
  events.addEventListener("error", async () => {
    live(false);
    if (events.readyState !== EventSource.CLOSED) {
      return;
    }
    clearTimeout(silence);
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
  hosts.sort((a, b) => byName(a.name, b.name));
  hosts.forEach((h) => colour(h.name)); // assigned in the list's order, so that every page shows the same colours
  document.title = `${status.alarms.length > 0 ? "⚠ " : ""}${status.hosts.serving}/${status.hosts.total} serving · ${status.name} · Tokenring`;
  text(byId("uptime"), `up ${span(status.uptime_seconds)}`);
  showAlarm(status);
  showTiles(status, hosts);
  setLimit(status);
  showRing(overview);
  showHosts(hosts);
  showWhatif(overview);
  showPeers(status, ring);
  showCertificates(status.certificates);
  announce(hosts);
}

function showAlarm(status) {
  const alarms = [...status.alarms];
  if (status.frozen) {
    const left = status.frozen_until ? (Date.parse(status.frozen_until) - Date.now()) / 1000 : 0;
    const frozen = status.frozen_since ? `has been frozen for ${ago(status.frozen_since)}` : "is frozen";
    alarms.push(`The ring ${frozen}${left > 0 ? `, and will be for at most ${span(left)} more` : ""}.`);
  }
  if (alarms.length === 0 && !status.ready) {
    alarms.push(`This balancer takes no traffic: ${status.not_ready}`);
  }
  byId("alarm").hidden = alarms.length === 0;
  text(byId("alarm"), alarms.join("\n"));
}

let before = null; // the number of requests at an earlier moment, and that moment

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

byId("signout").addEventListener("click", async () => {
  await call("POST", "/signout").catch(() => {});
  location.reload();
});
