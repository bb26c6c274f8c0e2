// The dialog that overrides a host's state or its weight. If the override would move a
// larger share of the tokens than the balancer's configuration allows without
// confirmation, the balancer refuses it. The dialog then shows what would move, and
// sends the override again only when the operator confirms it.
import { call } from "./api.js";
import { weightOrigin } from "./hoststate.js";
import { count, el, percent, text } from "./dom.js";
import { movement } from "./movement.js";
import { poolOf } from "./names.js";

const dialog = document.getElementById("override");
const form = dialog.querySelector("form");
const field = form.elements;
const [fields, weights, impact, problem, back, primary] = [".change", ".weight", ".impact", ".problem", ".back", ".primary"].map((name) => dialog.querySelector(name));
const SIZE = { most: 8, height: 150 }; // of the picture
const REFUSED = 409; // more would move than is allowed without confirmation

const consequence = {
  ready: () => "It gets its share of the tokens again.",
  drain: (h) => `It gets no new sessions. ${live(h, "stays until it ends by itself", "stay until they end by themselves")}`,
  maint: (h) => `It gets no requests. ${live(h, "is ended", "are ended")}`,
};

let limit; // the share that may move without confirmation; undefined if the balancer has no such limit
let subject = null; // what the dialog is about: the host, and the state if it isn't about the weight
let warned = false; // whether the dialog shows what would move, and waits for confirmation

// setLimit sets the limit to that of a status.
export function setLimit(status) {
  limit = status.confirm_share;
}

// live says what happens to the live sessions. one and several are the texts for one
// session and for more.
function live(h, one, several) {
  if (h.sessions === 0) {
    return "It has no live sessions here.";
  }
  return h.sessions === 1 ? `Its live session here ${one}.` : `Its ${count(h.sessions, "live session")} here ${several}.`;
}

// overrideState opens the dialog for a host's new state.
export function overrideState(host, state) {
  if (host.state === state) {
    return;
  }
  open({ host, state }, consequence[state](host));
  field.reason.focus();
}

// overrideWeight opens the dialog for a host's new weight.
export function overrideWeight(host) {
  const now = `It is ${host.weight} now${host.weight_decided ? ` (${weightOrigin(host)})` : ""}.`;
  open({ host }, `${now} A host gets tokens in proportion to its weight; with 0 it gets none. Live terminals stay where they are.`);
  field.weight.value = host.weight;
  field.source.value = "set";
  field.weight.required = true;
  text(dialog.querySelector(".own"), `The host's own: ${host.announced_weight}`);
  field.weight.select();
}

function open(what, about) {
  subject = what;
  text(dialog.querySelector(".consequence"), about);
  weights.hidden = weights.disabled = Boolean(what.state);
  field.reason.value = "";
  field.by.value = localStorage.getItem("by") || "";
  form.removeAttribute("aria-busy"); // it may be set by an earlier override whose answer hasn't come
  showFields();
  dialog.showModal();
}

// showFields shows the fields: at first, and when the operator goes back to them.
function showFields() {
  warned = false;
  fields.hidden = false;
  impact.hidden = back.hidden = true;
  impact.replaceChildren();
  text(problem, "");
  const { host, state } = subject;
  text(dialog.querySelector("h2"), state ? `Set ${host.name} to ${state}` : `Weight of ${host.name}`);
  text(primary, state ? `Set to ${state}` : "Set the weight");
  primary.classList.remove("danger");
}

// change returns the change in the form, as the API takes it.
function change() {
  if (subject.state) {
    return { state: subject.state };
  }
  return { weight: field.source.value === "own" ? null : Number(field.weight.value) };
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (form.hasAttribute("aria-busy")) {
    return;
  }
  form.setAttribute("aria-busy", "true");
  text(problem, "");
  const asked = subject;
  const failure = await send().catch((err) => err);
  if (failure?.status === REFUSED && !warned && asked === subject) {
    await warn(failure);
  } else if (failure && asked === subject) {
    text(problem, failure.message);
  }
  if (asked !== subject) { // the operator has opened another dialog
    return;
  }
  form.removeAttribute("aria-busy");
  if (!failure) {
    dialog.close();
  }
});

async function send() {
  const by = field.by.value.trim();
  localStorage.setItem("by", by);
  await call("PATCH", `/v1/hosts/${encodeURIComponent(subject.host.name)}`, {
    ...change(),
    reason: field.reason.value.trim(),
    by: by || undefined,
    max_moved: warned ? undefined : limit,
  });
}

// warn shows what would move. It moves the focus away from the button, so that Enter,
// pressed twice, doesn't confirm; and away from the fields, which it hides. If the focus
// is on Cancel, it stays there.
async function warn(err) {
  const asked = subject;
  let answer = null;
  try {
    answer = await call("POST", "/v1/whatif", question(subject.host, change()));
  } catch {
    // The sentence of the refusal is enough without the picture.
  }
  if (asked !== subject || !dialog.open) {
    return;
  }
  warned = true;
  impact.replaceChildren(el("p", { id: "impact-why", class: "warning", role: "alert" }, refusal(err)), ...(answer ? [movement(answer, SIZE)] : []));
  fields.hidden = true;
  impact.hidden = back.hidden = false;
  if (!subject.state) {
    text(dialog.querySelector("h2"), `Weight of ${subject.host.name}: ${change().weight ?? "its own"}`);
  }
  text(primary, "Do it anyway");
  primary.classList.add("danger");
  if (!document.activeElement.matches(".cancel")) {
    impact.focus();
  }
}

// refusal says why the balancer refused. The balancer's own text is for operators who
// send requests by hand.
function refusal({ message, problem: { moved, max_moved: allowed } }) {
  return moved === undefined ? message : `This would move ${percent(moved)} of the tokens; up to ${percent(allowed)} may move without confirmation. Nothing has been changed yet.`;
}

// question returns the what-if question of a change of host, about the ring of its pool.
function question(host, { state, weight }) {
  const pool = poolOf(host);
  const next = weight === undefined ? host.weight : weight ?? host.announced_weight;
  if (!host.in_ring) {
    return { pool, join: [{ name: host.name, weight: next, id: host.id }] };
  }
  const leaves = state ? state !== "ready" : next === 0;
  return leaves ? { pool, leave: [host.name] } : { pool, weights: { [host.name]: next } };
}

field.weight.addEventListener("input", () => {
  field.source.value = "set";
});

weights.addEventListener("input", () => {
  field.weight.required = field.source.value === "set";
});

back.addEventListener("click", () => {
  showFields();
  (subject.state ? field.reason : field.weight).focus();
});

dialog.querySelector(".cancel").addEventListener("click", () => dialog.close());
