// Signs in with the token from the form, or from a link that ends in #token=….
// A fragment is not sent to servers; it is taken out of the address bar and the
// history before anything else happens.
import { call, takeFragment } from "./api.js";

const form = document.getElementById("signin");
const field = document.getElementById("token");
const problem = document.getElementById("problem");

async function signIn(token) {
  problem.textContent = "";
  form.setAttribute("aria-busy", "true");
  try {
    await call("POST", "/signin", { token });
    location.replace("/");
  } catch (err) {
    problem.textContent = err.message;
    field.select();
  } finally {
    form.removeAttribute("aria-busy");
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(field.value);
});

const given = takeFragment();
if (given) {
  signIn(given);
}
