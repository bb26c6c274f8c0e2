// "Where does this token go?" The page forgets the token when it has sent it. The field
// has no name, so that a browser that sends the form before this script has loaded leaves
// the token out of the URL.
import { call } from "./api.js";
import { chain } from "./explanation.js";
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
  if (number === asked) { // else another token has been sent in the meantime
    answer.replaceChildren(...result);
  }
});

function shown(e) {
  return [
    el("p", { class: "verdict" }, swatch(e.host), el("b", {}, e.host || "no host"), el("span", { class: "badge", "data-is": `rule-${e.rule}` }, e.rule)),
    el("p", {}, e.reason),
    chain(e),
    el("p", { class: "quiet" }, "The token's digest in logs is ", el("code", {}, e.token_digest || "—"),
      e.session ? "." : ". It has no open terminal here."),
  ];
}
