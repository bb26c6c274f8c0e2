// The dialog that changes a host's state or its weight. A change that would move
// a larger share of the tokens than the balancer's configuration allows unasked is
// refused first; the dialog then shows what would move, and sends it again only
// when it is told to.
import { call } from "./api.js";
import { weightOrigin } from "./condition.js";
import { count, el, percent, text } from "./dom.js";
import { movement } from "./movement.js";

const dialog = document.getElementById("decide");
const form = dialog.querySelector("form");
const field = form.elements;
const [fields, weights, impact, problem, back, primary] = [".change", ".weight", ".impact", ".problem", ".back", ".primary"].map((name) => dialog.querySelector(name));
const SIZE = { most: 8, height: 150 }; // of the picture
const REFUSED = 409; // more would move than is allowed unasked

const consequence = {
  ready: () => "It gets its share of the tokens again.",
  drain: (h) => `It gets no new sessions. ${live(h, "stays until it ends by itself", "stay until they end by themselves")}`,
  maint: (h) => `It gets nothing. ${live(h, "is ended", "are ended")}`,
};

let limit; // the share that may move unasked; undefined if the balancer doesn't know of such a limit
let decision = null; // what the dialog is about: the host, and the state if it isn't about the weight
let warned = false; // whether the dialog shows what would move, and only asks for the word

// setLimit takes the limit from a status.
export function setLimit(status) {
  limit = status.confirm_share;
}

// live says what becomes of the live sessions: of one, or of several.
function live(h, one, several) {
  if (h.sessions === 0) {
    return "It has no live sessions here.";
  }
  return h.sessions === 1 ? `Its live session here ${one}.` : `Its ${count(h.sessions, "live session")} here ${several}.`;
}

// decideState opens the dialog for a host's new state.
export function decideState(host, state) {
  if (host.state === state) {
    return;
  }
  open({ host, state }, consequence[state](host));
  field.reason.focus();
}

// decideWeight opens the dialog for a host's new weight.
export function decideWeight(host) {
  const now = `It is ${host.weight} now${host.weight_decided ? ` (${weightOrigin(host)})` : ""}.`;
  open({ host }, `${now} A host gets tokens in proportion to its weight; with 0 it gets none. Live terminals stay where they are.`);
  field.weight.value = host.weight;
  field.source.value = "set";
  field.weight.required = true;
  text(dialog.querySelector(".own"), `The host's own: ${host.announced_weight}`);
  field.weight.select();
}

function open(what, about) {
  decision = what;
  text(dialog.querySelector(".consequence"), about);
  weights.hidden = weights.disabled = Boolean(what.state);
  field.reason.value = "";
  field.by.value = localStorage.getItem("by") || "";
  form.removeAttribute("aria-busy"); // of a change whose answer nobody waits for any more
  calm();
  dialog.showModal();
}

// calm shows the fields: at first, and when the operator goes back to them.
function calm() {
  warned = false;
  fields.hidden = false;
  impact.hidden = back.hidden = true;
  impact.replaceChildren();
  text(problem, "");
  const { host, state } = decision;
  text(dialog.querySelector("h2"), state ? `Set ${host.name} to ${state}` : `Weight of ${host.name}`);
  text(primary, state ? `Set to ${state}` : "Set the weight");
  primary.classList.remove("danger");
}

// change is what the form asks for, as the API has it.
function change() {
  if (decision.state) {
    return { state: decision.state };
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
  const asked = decision;
  const failure = await send().catch((err) => err);
  if (failure?.status === REFUSED && !warned && asked === decision) {
    await warn(failure);
  } else if (failure && asked === decision) {
    text(problem, failure.message);
  }
  if (asked !== decision) { // the operator has gone on to another change
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
  await call("PATCH", `/v1/hosts/${encodeURIComponent(decision.host.name)}`, {
    ...change(),
    reason: field.reason.value.trim(),
    by: by || undefined,
    max_moved: warned ? undefined : limit,
  });
}

// warn shows what would move. It takes the focus from the button, so that who
// pressed Enter twice hasn't given the word, and from the fields, which it hides.
// Who has gone on to Cancel stays there.
async function warn(err) {
  const asked = decision;
  let answer = null;
  try {
    answer = await call("POST", "/v1/whatif", question(decision.host, change()));
  } catch {
    // The refusal says it in a sentence; the picture is more than is needed.
  }
  if (asked !== decision || !dialog.open) {
    return;
  }
  warned = true;
  impact.replaceChildren(el("p", { id: "impact-why", class: "warning", role: "alert" }, refusal(err)), ...(answer ? [movement(answer, SIZE)] : []));
  fields.hidden = true;
  impact.hidden = back.hidden = false;
  if (!decision.state) {
    text(dialog.querySelector("h2"), `Weight of ${decision.host.name}: ${change().weight ?? "its own"}`);
  }
  text(primary, "Do it all the same");
  primary.classList.add("danger");
  if (!document.activeElement.matches(".cancel")) {
    impact.focus();
  }
}

// refusal says why the balancer hasn't decided: its own words are for who sends
// requests by hand.
function refusal({ message, problem: { moved, max_moved: allowed } }) {
  return moved === undefined ? message : `This would move ${percent(moved)} of the tokens; up to ${percent(allowed)} may move unasked. Nothing is decided yet.`;
}

// question is the what-if of a change of host.
function question(host, { state, weight }) {
  const next = weight === undefined ? host.weight : weight ?? host.announced_weight;
  if (!host.in_ring) {
    return { join: [{ name: host.name, weight: next, id: host.id }] };
  }
  const leaves = state ? state !== "ready" : next === 0;
  return leaves ? { leave: [host.name] } : { weights: { [host.name]: next } };
}

field.weight.addEventListener("input", () => {
  field.source.value = "set";
});

weights.addEventListener("input", () => {
  field.weight.required = field.source.value === "set";
});

back.addEventListener("click", () => {
  calm();
  (decision.state ? field.reason : field.weight).focus();
});

dialog.querySelector(".cancel").addEventListener("click", () => dialog.close());
