// Signs in with the token from the form, or from a link that ends in #token=…. The link
// may open this page, or be put into the address bar when the page is open. Browsers
// don't send the fragment to servers. The script first removes it from the address bar
// and the history.
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
