// "Where does this token go?" The token is forgotten as soon as it is sent. Its
// field has no name, so that a browser that sends the form by itself, before this
// script is there, leaves the token out of the address.
import { call } from "./api.js";
import { chain } from "./chain.js";
import { el, swatch } from "./dom.js";

const form = document.getElementById("explain");
const answer = document.getElementById("answer");
let asked = 0; // questions so far

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = form.elements.token;
  const token = field.value;
  field.value = "";
  const number = ++asked;
  let result;
  try {
    result = shown(await call("POST", "/v1/explain", { token }));
  } catch (err) {
    result = [el("p", { class: "problem" }, err.message)];
  }
  if (number === asked) { // else another token was asked about meanwhile
    answer.replaceChildren(...result);
  }
});

function shown(e) {
  return [
    el("p", { class: "verdict" }, swatch(e.host), el("b", {}, e.host || "nobody"), el("span", { class: "badge", "data-is": `rule-${e.rule}` }, e.rule)),
    el("p", {}, e.reason),
    chain(e),
    el("p", { class: "quiet" }, "In logs the token is called ", el("code", {}, e.token_digest || "—"),
      e.session ? "." : ". No terminal of it is open here."),
  ];
}
