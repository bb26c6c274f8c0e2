// The routes of the balancer, if there are any.

import { call } from "./api.js";
import { count, el, keyed, text } from "./dom.js";

const byId = (id) => document.getElementById(id);

// watchRoutes shows the routes, and asks for them again every few seconds.
export function watchRoutes() {
  call("GET", "/v1/routes").then(show).catch(() => {}); // the page shows that the balancer doesn't answer
  setTimeout(watchRoutes, 3000);
}

function show({ routes, unmatched }) {
  byId("routes-card").hidden = routes.length === 0;
  const rest = { name: "other requests", matches: "", ...unmatched };
  keyed(byId("routes"), [...routes, rest], (r) => r.name, () => {
    const name = el("b");
    const about = el("span", { class: "quiet" });
    const node = el("li", {}, name, about);
    node.update = (r) => {
      text(name, r.name);
      text(about, [r.matches, r.does, count(r.requests, "request")].filter(Boolean).join(" · "));
    };
    return node;
  });
}
