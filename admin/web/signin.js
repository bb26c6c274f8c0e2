// Signs in with the token from the form, or from a link that ends in #token=…,
// whether it opens this page or is put into the address bar of one that is open.
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

function signInByLink() {
  const given = takeFragment();
  if (given) {
    signIn(given);
  }
}

signInByLink();
addEventListener("hashchange", signInByLink);
