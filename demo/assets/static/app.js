// The page: a connection to the token's terminal that comes back by itself, and
// says so when another host has answered.

import { listen } from "./keys.js";
import { Parser } from "./parser.js";
import { Screen } from "./screen.js";
import { View } from "./view.js";

const $ = (id) => document.getElementById(id);
const firstWait = 500, longestWait = 10_000; // milliseconds
const chunk = 8192; // characters in one message of a paste

// The token is the raw value of the first "token=", as the balancer reads it.
const token = location.search.slice(1).split("&").find((part) => part.startsWith("token="))?.slice(6) ?? "";

function shown(raw) {
  try { return decodeURIComponent(raw); } catch { return raw; }
}

function state(name, text) {
  $("state").dataset.state = name;
  $("state").lastElementChild.textContent = text;
}

function note(text, calm = false) {
  $("note").hidden = text === "";
  $("note").textContent = text;
  $("note").classList.toggle("calm", calm);
}

function host(name) {
  $("host").textContent = name;
  document.title = `${shown(token) || "no token"} on ${name}`;
  let hue = 0;
  for (const c of name) hue = (hue * 31 + c.charCodeAt(0)) % 360;
  document.documentElement.style.setProperty("--hue", (hue * 137) % 360);
}

class Connection {
  constructor() {
    this.view = new View($("terminal"), $("history"), $("screen"));
    this.host = null;
    this.wait = firstWait;
    this.lostAt = 0;
    this.encoder = new TextEncoder();
    this.fresh();
    new ResizeObserver(() => this.resize()).observe($("terminal"));
    listen($("terminal"), $("keys"), () => this.screen.modes, (keys) => this.type(keys));
    addEventListener("online", () => this.again());
    this.open();
  }

  // fresh empties the screen: the host replays what the session has shown.
  fresh() {
    const [cols, rows] = this.view.size();
    this.screen = new Screen(cols, rows, (line) => this.view.scrolledOff(line));
    this.live = false; // whether a program's questions are answered
    this.parser = new Parser(this.screen, (text) => { if (this.live) this.send(text); });
    this.view.show(this.screen);
  }

  open() {
    clearTimeout(this.timer);
    this.timer = null;
    state("wait", this.host === null ? "connecting" : "reconnecting");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(`${scheme}//${location.host}/environment/websocket?token=${token}`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (e) => this.take(e.data);
    this.socket.onclose = (e) => this.lost(e);
  }

  take(data) {
    if (typeof data !== "string") {
      this.parser.feed(data);
      this.view.refresh();
      return;
    }
    const message = JSON.parse(data);
    if (message.host) this.arrive(message.host);
    if (message.live) {
      this.live = true;
      this.resize(true);
    }
  }

  arrive(name) {
    this.fresh();
    state("open", "connected");
    this.wait = firstWait;
    host(name);
    if (this.host !== null && this.host !== name) {
      note(`Another host answered: ${name} instead of ${this.host}, after ${this.away()}. The shell here is another one, too: the old one lived on ${this.host}.`);
    } else if (this.lostAt) note(`Back on ${name} after ${this.away()}, in the same place.`, true);
    this.host = name;
    this.lostAt = 0;
  }

  away() { return `${((Date.now() - this.lostAt) / 1000).toFixed(1)} s`; }

  lost(event) {
    if (this.host !== null) this.lostAt ||= Date.now();
    if (event.code === 1000) {
      this.over = true;
      this.lostAt = 0;
      state("over", "ended");
      note("The shell has ended. Press Enter for a new one.", true);
      return;
    }
    const wait = this.wait * (0.75 + Math.random() / 2);
    this.wait = Math.min(this.wait * 1.7, longestWait);
    state("wait", event.reason || (this.host === null ? "no host answers yet" : "connection lost"));
    this.timer = setTimeout(() => this.open(), wait);
  }

  // again connects at once if there is no connection.
  again() {
    if (this.timer) this.open();
  }

  type(keys) {
    if (this.over) {
      if (!keys.includes("\r")) return;
      this.over = false;
      note("");
      this.open();
      return;
    }
    this.again();
    this.send(keys);
    $("terminal").scrollTop = $("terminal").scrollHeight;
  }

  send(text) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    const characters = Array.from(text);
    for (let i = 0; i < characters.length; i += chunk) this.socket.send(this.encoder.encode(characters.slice(i, i + chunk).join("")));
  }

  // resize fits the screen to the page. It tells the host the size even if that is the same.
  resize(always = false) {
    const [cols, rows] = this.view.size();
    const same = cols === this.screen.cols && rows === this.screen.rows;
    if (!same) this.screen.resize(cols, rows);
    this.view.refresh(); // also if the size is the same: a part of a row may be hidden now
    if ((always || !same) && this.live && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ resize: [cols, rows] }));
  }
}

async function stop() {
  const name = $("host").textContent;
  $("stop").disabled = true;
  try {
    const answer = await fetch(`/demo/stop?host=${encodeURIComponent(name)}&token=${token}`, { method: "POST" });
    note(answer.ok ? `${name} is stopping. Its tokens move to other hosts; the other hosts' tokens stay.` : `${name} was not stopped: ${answer.status}.`);
  } catch {
    note(`${name} was not stopped: no answer.`);
  }
  setTimeout(() => { $("stop").disabled = false; }, 2000);
}

function choose() {
  $("choose").hidden = false;
  const open = () => { if ($("other").value) location.search = "?token=" + encodeURIComponent($("other").value); };
  $("go").addEventListener("click", open);
  $("other").addEventListener("keydown", (e) => { if (e.key === "Enter") open(); });
}

host(document.body.dataset.host);
$("stop")?.addEventListener("click", stop);
if (token === "") choose();
else {
  $("token").textContent = shown(token);
  $("terminal").hidden = false;
  new Connection();
}
