// The dialog that lists a host's open terminals, those first that were idle the longest.
import { call } from "./api.js";
import { count, el, keyed, number, span, text } from "./dom.js";

const dialog = document.getElementById("terminals");
const [list, summary, problem] = [".terminals", ".summary", ".problem"].map((name) => dialog.querySelector(name));
const LIMIT = 100; // terminals that are listed
let timer = 0; // of the next look

// showSessions opens the dialog for a host, and looks again every few seconds while it is open.
export function showSessions(host) {
  text(document.getElementById("terminals-title"), `Terminals on ${host}`);
  text(summary, "");
  list.replaceChildren();
  dialog.showModal();
  look(host);
}

async function look(host) {
  try {
    const answer = await call("GET", `/v1/sessions?host=${encodeURIComponent(host)}&limit=${LIMIT}`);
    show(answer);
    text(problem, answer.missing.map((m) => `Not listed: those of ${m.balancer}: ${m.why}.`).join(" "));
  } catch (error) {
    text(problem, error.message);
  }
  if (dialog.open) {
    timer = setTimeout(look, 3000, host);
  }
}

function show({ sessions, total }) {
  const more = total > sessions.length ? `; the ${sessions.length} that were idle the longest are listed` : "";
  text(summary, `${count(total, "terminal")}${more}`);
  keyed(list, sessions, (s) => [s.digest, s.balancer, s.generation, s.opened_at].join(" "), () => {
    const key = el("b");
    const about = el("span", { class: "quiet" });
    const node = el("li", {}, key, " ", about);
    node.update = (s) => {
      text(key, s.key);
      text(about, describe(s));
    };
    return node;
  });
}

function describe(s) {
  const through = s.generation ? `${s.balancer}, generation ${s.generation}` : s.balancer;
  return [
    `through ${through}`, `open for ${span(s.age_seconds)}`, `idle for ${span(s.idle_seconds)}`,
    `${number(s.bytes_in)} bytes in, ${number(s.bytes_out)} out`, s.client && `from ${s.client}`,
  ].filter(Boolean).join(" · ");
}

dialog.addEventListener("close", () => clearTimeout(timer));
dialog.querySelector(".cancel").addEventListener("click", () => dialog.close());
