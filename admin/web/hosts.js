// The table of hosts. Its buttons open the dialog of overrides.
import { condition, listedBy, progress, returning, slowStartEnds, weightOrigin } from "./hoststate.js";
import { overrideState, overrideWeight } from "./override.js";
import { showSessions } from "./sessions.js";
import { ago, colour, el, keyed, mark, number, percent, swatch, text } from "./dom.js";

const rows = document.getElementById("hosts");
let shown = new Map(); // the hosts last shown, by name

export function showHosts(hosts) {
  shown = new Map(hosts.map((h) => [h.name, h]));
  keyed(rows, hosts, (h) => h.name, row);
  document.getElementById("no-hosts").hidden = hosts.length > 0;
}

// row makes the table row of a host. A phone shows the cells' labels in place of the
// head of the table.
function row(host) {
  const part = {};
  const make = (name, tag = "span", cls = "") => (part[name] = el(tag, cls ? { class: cls } : {}));
  const cell = (label, ...children) => el("td", { "data-label": label }, ...children);
  const bar = el("span", { class: "bar" }, make("bar", "i"));
  part.bar.style.setProperty("--colour", colour(host.name));

  const node = el("tr", {},
    el("th", { scope: "row" }, swatch(host.name), el("b", {}, host.name), make("address", "small", "quiet"), make("listed", "small", "quiet")),
    cell("State", make("state", "span", "badge"), make("load", "span", "badge"), make("reason", "small", "quiet"), make("loading", "small", "quiet")),
    cell("Checks", make("verdict", "span", "badge"), make("error", "small", "quiet")),
    cell("Weight", weightButton(host.name, part), make("origin", "small", "quiet")),
    cell("Share", bar, make("share", "span", "number")),
    cell("Sessions", sessionsButton(host.name, part)),
    cell("In flight", make("inFlight", "span", "number")),
    cell("Requests", make("requests", "span", "number")),
    cell("Errors", make("errors", "span", "number")),
    cell("Set to", buttons(host.name, part)));
  node.update = (h) => update(node, part, h);
  return node;
}

function weightButton(name, part) {
  part.weight = el("button", { type: "button", class: "number" });
  part.weight.addEventListener("click", () => shown.has(name) && overrideWeight(shown.get(name)));
  return part.weight;
}

function sessionsButton(name, part) {
  part.sessions = el("button", { type: "button", class: "number", title: "List the terminals" });
  part.sessions.addEventListener("click", () => showSessions(name));
  return part.sessions;
}

function buttons(name, part) {
  const group = el("span", { class: "states", role: "group", "aria-label": `Set ${name} to` });
  for (const state of ["ready", "drain", "maint"]) {
    const button = el("button", { type: "button", "aria-label": `${state}: ${name}` }, state);
    button.addEventListener("click", () => shown.has(name) && overrideState(shown.get(name), state));
    part[state] = button;
    group.append(button);
  }
  return group;
}

function update(node, part, h) {
  mark(node, "data-dim", !h.serving || null);
  text(part.address, [h.dns_name, h.address, h.zone, h.origin].filter(Boolean).join(" · "));
  text(part.listed, listedBy(h));
  text(part.state, h.leaving ? "leaving" : h.state);
  mark(part.state, "data-is", h.leaving ? "leaving" : h.state);
  const since = h.since ? `${ago(h.since)} ago` : "";
  text(part.reason, [h.reason, h.by && `by ${h.by}`, since].filter(Boolean).join(" · "));
  for (const state of ["ready", "drain", "maint"]) {
    mark(part[state], "aria-pressed", String(h.state === state));
  }
  updateLoad(part, h);
  text(part.verdict, h.verdict);
  mark(part.verdict, "data-is", h.verdict);
  const votes = h.votes && (h.votes.held || h.votes.here === "down" || h.votes.down_at.length > 0) ? h.votes.text : "";
  text(part.error, [h.check_error || (h.state === "ready" && !h.leaving && h.why_not), h.backup && h.serving && "a backup, in use because no other host serves", h.waits, returning(h), votes].filter(Boolean).join("; "));
  updateWeight(part, h);
  updateNumbers(part, h);
}

// updateLoad shows whether a host that serves takes less than its share.
function updateLoad(part, h) {
  part.load.hidden = !h.serving || (!h.slow_start && !h.full);
  text(part.load, h.slow_start ? progress(h) : "full");
  mark(part.load, "data-is", h.slow_start ? "slow-start" : "full");
  text(part.loading, part.load.hidden ? "" : h.slow_start ? slowStartEnds(h) : "no new tokens until terminals end");
}

// updateWeight shows the weight. If the balancer doesn't tell the host's own weight, the
// weight can't be changed here.
function updateWeight(part, h) {
  const own = h.announced_weight;
  text(part.weight, h.weight);
  mark(part.weight, "aria-label", `weight ${h.weight}: ${h.name}`);
  mark(part.weight, "disabled", own === undefined || null);
  mark(part.weight, "title", own === undefined ? null : "Change the weight");
  text(part.origin, weightOrigin(h));
}

// terminals says how many there are: through this balancer, and through others.
function terminals(here, atPeers) {
  return atPeers > 0 ? `${number(here)} + ${number(atPeers)}` : number(here);
}

function updateNumbers(part, h) {
  text(part.share, percent(h.share));
  part.bar.style.setProperty("--share", h.share);
  part.bar.style.setProperty("--taken", h.slow_start?.taken ?? 1);
  text(part.sessions, terminals(h.sessions, h.sessions_at_peers));
  mark(part.sessions, "aria-label", `${terminals(h.sessions, h.sessions_at_peers)} terminals: ${h.name}`);
  text(part.inFlight, number(h.in_flight));
  text(part.requests, number(h.requests));
  text(part.errors, number(h.connect_errors + h.resets));
  mark(part.errors, "title", `${number(h.connect_errors)} connections not opened, ${number(h.resets)} cut off`);
  mark(part.errors, "data-bad", h.connect_errors + h.resets > 0 || null);
}

let known = null; // the hosts' conditions last announced

// announce tells screen readers which hosts have changed.
export function announce(hosts) {
  const now = new Map(hosts.map((h) => [h.name, condition(h)]));
  if (known) {
    const news = [];
    now.forEach((is, name) => known.get(name) !== is && news.push(`${name} is ${is}`));
    known.forEach((_, name) => now.has(name) || news.push(`${name} is gone`));
    if (news.length > 0) {
      text(document.getElementById("news"), news.join(", "));
    }
  }
  known = now;
}
