// The processes of the balancer, if there are more than one.

import { call } from "./api.js";
import { ago, count, el, keyed, mark, text } from "./dom.js";

const byId = (id) => document.getElementById(id);
const words = { serving: "up", starting: "drain", old: "drain", closing: "down" }; // how each state is coloured

// watchGenerations shows the generations, and asks for them again every few seconds.
export function watchGenerations() {
  call("GET", "/v1/generations").then(({ generations }) => show(generations)).catch(() => {}); // the page shows that the balancer doesn't answer
  setTimeout(watchGenerations, 3000);
}

function show(generations) {
  byId("generations-card").hidden = generations.length < 2;
  keyed(byId("generations"), generations, (g) => String(g.id), () => {
    const badge = el("span", { class: "badge" });
    const name = el("b");
    const about = el("span", { class: "quiet" });
    const node = el("li", {}, badge, name, about);
    node.update = (g) => {
      text(badge, g.hangs ? "hangs" : g.state);
      mark(badge, "data-is", g.hangs ? "down" : words[g.state]);
      text(name, `generation ${g.id}`);
      text(about, `${g.hangs ? "? terminals" : count(g.terminals, "terminal")} · ${g.version} · started ${ago(g.started)} ago · ${Math.round(g.rss_bytes / 2 ** 20)} MB`);
    };
    return node;
  });
}
