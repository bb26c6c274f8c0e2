// "What if?": a form for other hosts, other weights or another policy, and the picture of
// what would move. It only asks; nothing here changes the ring.
import { call } from "./api.js";
import { condition } from "./hoststate.js";
import { el, keyed, mark, swatch, text } from "./dom.js";
import { movement, summary } from "./movement.js";
import { inMainPool } from "./names.js";

const POLICIES = ["consistent", "rendezvous", "maglev", "ketama", "haproxy"];
const SIZE = { most: 60, height: 240 }; // of the picture
const HEAVIEST = 256; // the greatest weight of a host

const form = document.getElementById("whatif");
const fields = document.getElementById("whatif-hosts");
const add = document.getElementById("join");
const joining = document.getElementById("joining");
const answer = document.getElementById("moves");
const news = document.getElementById("whatif-news");
const stale = document.getElementById("stale");
let hosts = [];
let asked = null; // the digest of the ring that the answer on the page is about

export function showWhatif(overview) {
  hosts = overview.hosts.filter(inMainPool);
  const policy = overview.ring.policy;
  const choices = POLICIES.includes(policy) ? POLICIES : [policy, ...POLICIES];
  keyed(form.elements.policy, choices.map((name) => ({ name, now: name === policy })), (c) => c.name, choice);
  keyed(fields, hosts, (h) => h.name, fieldsOf);
  if (asked && asked !== overview.ring.digest) {
    outdate("The ring has changed since. Ask again.");
  }
}

function choice({ name }) {
  const node = el("option", { value: name });
  node.update = ({ now }) => {
    text(node, now ? `${name}, as now` : name);
    if (now && !node.hasAttribute("data-now")) {
      node.selected = true;
    }
    mark(node, "data-now", now);
  };
  return node;
}

// fieldsOf makes the row of a host: whether it is in the ring, and its weight. Until the
// operator changes a field, the row follows the host.
function fieldsOf({ name }) {
  const inRing = el("input", { type: "checkbox", "aria-label": `${name} is in the ring` });
  const weight = el("input", { type: "number", max: HEAVIEST, step: 1, required: true, "aria-label": `weight of ${name}` });
  const about = el("small", { class: "quiet" });
  const node = el("li", {}, el("label", {}, inRing, swatch(name), el("b", {}, name)), about, weight);
  let host = null;
  let touched = false;
  const describe = () => {
    const change = difference(host, inRing.checked, Number(weight.value));
    weight.disabled = !inRing.checked;
    weight.min = host.in_ring ? 0 : 1; // a host of weight 0 can't join
    text(about, change || (host.in_ring ? "" : condition(host)));
    mark(node, "data-changed", change !== "");
  };
  node.reset = () => {
    touched = false;
    inRing.checked = host.in_ring;
    weight.value = host.in_ring ? host.weight : host.weight || host.announced_weight || 1;
    describe();
  };
  node.update = (h) => {
    host = h;
    touched ? describe() : node.reset();
  };
  node.addEventListener("input", () => {
    touched = true;
    describe();
  });
  node.state = () => ({ host, stays: inRing.checked, weight: Number(weight.value) });
  return node;
}

// difference says what the fields of a host change; "" if they change nothing.
function difference(host, stays, weight) {
  if (stays !== host.in_ring) {
    return stays ? "joins" : "leaves";
  }
  return stays && weight !== host.weight ? `weight ${host.weight} → ${weight}` : "";
}

// join adds the fields of a new host.
function join() {
  const input = (label, attributes) => el("label", {}, label, el("input", { required: true, autocomplete: "off", ...attributes }));
  const id = Math.max(0, ...hosts.map((h) => h.id), ...[...joining.children].map((node) => node.state().id)) + 1;
  const name = input("Name", { value: nameFor(id), maxlength: 255, spellcheck: "false" });
  const weight = input("Weight", { type: "number", min: 1, max: HEAVIEST, value: 1 });
  const identity = input("Id", { type: "number", min: 0, max: 2 ** 32 - 1, value: id });
  const remove = el("button", { type: "button", "aria-label": "Don't add this host", title: "Don't add this host" }, "×");
  const node = el("li", {}, name, weight, identity, remove);
  remove.addEventListener("click", () => {
    node.remove();
    add.focus(); // the button that had the focus is gone
    outdate();
  });
  node.state = () => ({ name: name.control.value.trim(), weight: Number(weight.control.value), id: Number(identity.control.value) });
  joining.append(node);
  name.control.select();
}

// nameFor guesses the name of a new host with this id from the names of the others.
function nameFor(id) {
  const numbered = hosts.map((h) => h.name.match(/^(.*?)\d+$/)).find(Boolean);
  const name = `${numbered ? numbered[1] : "host-"}${id}`;
  return hosts.some((h) => h.name === name) ? "" : name;
}

// change returns the question in the form, as the API takes it; null if it changes
// nothing.
function change() {
  const rows = [...fields.children].map((node) => node.state());
  const back = rows.filter((r) => r.stays && !r.host.in_ring).map((r) => ({ name: r.host.name, weight: r.weight, id: r.host.id }));
  const weights = rows.filter((r) => r.stays && r.host.in_ring && r.weight !== r.host.weight).map((r) => [r.host.name, r.weight]);
  const policy = form.elements.policy.selectedOptions[0];
  const parts = {
    leave: rows.filter((r) => !r.stays && r.host.in_ring).map((r) => r.host.name),
    join: [...back, ...[...joining.children].map((node) => node.state())],
    weights: Object.fromEntries(weights),
  };
  const wanted = Object.entries(parts).filter(([, part]) => Object.keys(part).length > 0);
  if (!policy.hasAttribute("data-now")) {
    wanted.push(["policy", policy.value]);
  }
  return wanted.length > 0 ? Object.fromEntries(wanted) : null;
}

// overridable reports whether operators' overrides can make this change. They can't
// bring in unknown hosts or hosts that fail, and they can't change the policy.
function overridable({ join: joins = [], policy }) {
  const could = (name) => hosts.some((h) => h.name === name && h.verdict === "up" && !h.leaving);
  return policy === undefined && joins.every((j) => could(j.name));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const question = change();
  if (!question) {
    show(el("p", { class: "problem" }, "This is the ring as it is now. Untick a host, change a weight, add a host, or choose another policy."));
    return;
  }
  form.setAttribute("aria-busy", "true");
  text(stale, "Computing …");
  try {
    const result = await call("POST", "/v1/whatif", question);
    asked = result.before.digest;
    show(movement(result, { ...SIZE, overridable: overridable(question) }));
    text(news, summary(result));
    if (JSON.stringify(change()) !== JSON.stringify(question)) { // the form was changed in the meantime
      outdate();
    }
  } catch (err) {
    show(el("p", { class: "problem", role: "alert" }, err.status === 404 ? "This balancer's version doesn't answer this question." : err.message));
  } finally {
    form.removeAttribute("aria-busy");
  }
});

function show(node) {
  text(news, "");
  text(stale, "");
  answer.replaceChildren(node);
  mark(answer, "data-outdated", null);
}

// outdate marks the answer on the page as the answer to another question.
function outdate(why = "") {
  if (answer.querySelector(".movement")) {
    asked = null;
    mark(answer, "data-outdated", true);
    text(stale, why || "The question has changed since. Ask again.");
  }
}

form.addEventListener("input", () => outdate());
form.addEventListener("reset", (event) => {
  event.preventDefault();
  joining.replaceChildren();
  form.elements.policy.querySelector("[data-now]").selected = true;
  [...fields.children].forEach((node) => node.reset());
  asked = null;
  show(el("p", { class: "quiet" }, "No question yet."));
});
add.addEventListener("click", () => {
  join();
  outdate();
});
