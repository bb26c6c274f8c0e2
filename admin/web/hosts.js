// The table of hosts, and the dialog that changes a host's state.
import { call } from "./api.js";
import { ago, colour, el, keyed, mark, number, percent, text } from "./dom.js";

const rows = document.getElementById("hosts");
const dialog = document.getElementById("decide");
const form = dialog.querySelector("form");
const consequence = {
  ready: () => "It gets its share of the tokens again.",
  drain: (h) => `It gets no new sessions. ${live(h, "stays until it ends by itself", "stay until they end by themselves")}`,
  maint: (h) => `It gets nothing. ${live(h, "is ended", "are ended")}`,
};
let shown = new Map(); // the hosts last shown, by name

// live says what becomes of the live sessions: of one, or of several.
function live(h, one, several) {
  if (h.sessions === 0) {
    return "It has no live sessions here.";
  }
  return h.sessions === 1 ? `Its live session here ${one}.` : `Its ${number(h.sessions)} live sessions here ${several}.`;
}

// condition says in a word or two how a host is.
export function condition(h) {
  if (h.leaving) {
    return "leaving";
  }
  if (h.state !== "ready") {
    return h.state;
  }
  return h.verdict === "up" && !h.in_ring ? h.why_not : h.verdict;
}

export function showHosts(hosts) {
  shown = new Map(hosts.map((h) => [h.name, h]));
  keyed(rows, hosts, (h) => h.name, row);
  document.getElementById("no-hosts").hidden = hosts.length > 0;
}

// row makes the table row of a host. The cells' labels are what a phone shows
// in place of the head of the table.
function row(host) {
  const part = {};
  const make = (name, tag = "span", cls = "") => (part[name] = el(tag, cls ? { class: cls } : {}));
  const cell = (label, ...children) => el("td", { "data-label": label }, ...children);
  const swatch = el("i", { class: "swatch" });
  swatch.style.setProperty("--colour", colour(host.name));
  const bar = el("span", { class: "bar" }, make("bar", "i"));
  part.bar.style.setProperty("--colour", colour(host.name));

  const node = el("tr", {},
    el("th", { scope: "row" }, swatch, el("b", {}, host.name), make("address", "small", "quiet")),
    cell("State", make("state", "span", "badge"), make("reason", "small", "quiet")),
    cell("Checks", make("verdict", "span", "badge"), make("error", "small", "quiet")),
    cell("Weight", make("weight", "span", "number")),
    cell("Share", bar, make("share", "span", "number")),
    cell("Sessions", make("sessions", "span", "number")),
    cell("In flight", make("inFlight", "span", "number")),
    cell("Requests", make("requests", "span", "number")),
    cell("Errors", make("errors", "span", "number")),
    cell("Set to", buttons(host.name, part)));
  node.update = (h) => update(node, part, h);
  return node;
}

function buttons(name, part) {
  const group = el("span", { class: "states", role: "group", "aria-label": `Set ${name} to` });
  for (const state of ["ready", "drain", "maint"]) {
    const button = el("button", { type: "button", "aria-label": `${state}: ${name}` }, state);
    button.addEventListener("click", () => ask(name, state));
    part[state] = button;
    group.append(button);
  }
  return group;
}

function update(node, part, h) {
  mark(node, "data-dim", !h.serving || null);
  text(part.address, [h.address, h.zone].filter(Boolean).join(" · "));
  text(part.state, h.leaving ? "leaving" : h.state);
  mark(part.state, "data-is", h.leaving ? "leaving" : h.state);
  const since = h.since ? `${ago(h.since)} ago` : "";
  text(part.reason, [h.reason, h.by && `by ${h.by}`, since].filter(Boolean).join(" · "));
  text(part.verdict, h.verdict);
  mark(part.verdict, "data-is", h.verdict);
  text(part.error, h.check_error || (h.state === "ready" && !h.leaving && h.why_not) || "");
  text(part.weight, h.weight);
  text(part.share, percent(h.share));
  part.bar.style.setProperty("--share", h.share);
  text(part.sessions, number(h.sessions));
  text(part.inFlight, number(h.in_flight));
  text(part.requests, number(h.requests));
  text(part.errors, number(h.connect_errors + h.resets));
  mark(part.errors, "title", `${number(h.connect_errors)} connections not opened, ${number(h.resets)} cut off`);
  mark(part.errors, "data-bad", h.connect_errors + h.resets > 0 || null);
  for (const state of ["ready", "drain", "maint"]) {
    mark(part[state], "aria-pressed", String(h.state === state));
  }
}

// ask opens the dialog for one change.
function ask(name, state) {
  const host = shown.get(name);
  if (!host || host.state === state) {
    return;
  }
  form.dataset.host = name;
  form.dataset.state = state;
  text(dialog.querySelector("h2"), `Set ${name} to ${state}`);
  text(dialog.querySelector(".consequence"), consequence[state](host));
  text(dialog.querySelector(".problem"), "");
  text(dialog.querySelector(".primary"), `Set to ${state}`);
  form.elements.reason.value = "";
  form.elements.by.value = localStorage.getItem("by") || "";
  dialog.showModal();
  form.elements.reason.focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const by = form.elements.by.value.trim();
  localStorage.setItem("by", by);
  const decision = { state: form.dataset.state, reason: form.elements.reason.value.trim() };
  if (by) {
    decision.by = by;
  }
  try {
    await call("PATCH", `/v1/hosts/${encodeURIComponent(form.dataset.host)}`, decision);
    dialog.close();
  } catch (err) {
    text(dialog.querySelector(".problem"), err.message);
  }
});

dialog.querySelector(".cancel").addEventListener("click", () => dialog.close());
