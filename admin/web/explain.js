// "Where does this token go?" The token is forgotten as soon as it is answered.
import { call } from "./api.js";
import { colour, el } from "./dom.js";

const form = document.getElementById("explain");
const answer = document.getElementById("answer");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = form.elements.token;
  const token = field.value;
  field.value = "";
  try {
    show(await call("POST", "/v1/explain", { token }));
  } catch (err) {
    answer.replaceChildren(el("p", { class: "problem" }, err.message));
  }
});

function show(e) {
  const swatch = el("i", { class: "swatch" });
  swatch.style.setProperty("--colour", e.host ? colour(e.host) : "transparent");
  answer.replaceChildren(
    el("p", { class: "verdict" }, swatch, el("b", {}, e.host || "nobody"), el("span", { class: "badge", "data-is": `rule-${e.rule}` }, e.rule)),
    el("p", {}, e.reason),
    el("p", { class: "quiet" }, `Slot ${e.slot} of ${e.slots}. In logs the token is called `, el("code", {}, e.token_digest || "—"),
      e.session ? `. Open here: ${e.session.tunnels} on ${e.session.host}.` : ". No terminal of it is open here."),
    el("ol", { class: "candidates" }, ...e.candidates.map(candidate)));
}

function candidate(c) {
  const swatch = el("i", { class: "swatch" });
  swatch.style.setProperty("--colour", colour(c.host));
  return el("li", { "data-dim": !c.chosen }, swatch, el("b", {}, c.host), el("span", { class: "quiet" },
    [c.role, c.verdict, c.chosen ? "chosen" : c.why_not].filter(Boolean).join(" · ")));
}
