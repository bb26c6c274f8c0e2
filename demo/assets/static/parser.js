// A parser of what programs send to a terminal (ECMA-48 with DEC's private
// modes, as xterm documents them): text and controls in, calls to a Screen out.

import { plain } from "./screen.js";

const lineDrawing = "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·"; // DEC's characters for ` to ~

export class Parser {
  // reply is called with an answer to a program's question, title with the window title
  // that a program sets.
  constructor(screen, reply = () => {}, title = () => {}) {
    this.screen = screen;
    this.reply = reply;
    this.title = title;
    this.decoder = new TextDecoder();
    this.state = this.ground;
    this.drawing = [false, false]; // whether G0 and G1 are the line drawing set
    this.shift = 0;
    this.last = " ";
  }

  // feed reads bytes. A character or a sequence may go on in the next bytes.
  feed(bytes) {
    for (const ch of this.decoder.decode(bytes, { stream: true })) this.state(ch);
  }

  ground(ch) {
    const code = ch.codePointAt(0);
    if (code < 0x20 || code === 0x7f) return this.control(code);
    if (code >= 0x80 && code < 0xa0) return;
    if (this.drawing[this.shift] && code >= 0x60 && code <= 0x7e) ch = lineDrawing[code - 0x60];
    this.last = ch;
    this.screen.print(ch);
  }

  control(code) {
    const s = this.screen;
    switch (code) {
      case 8: return s.moveTo(s.x - 1, s.y);
      case 9: return s.tab(1);
      case 10: case 11: case 12: return s.lineFeed();
      case 13: return s.moveTo(0, s.y);
      case 14: this.shift = 1; return;
      case 15: this.shift = 0; return;
      case 24: case 26: this.state = this.ground; return;
      case 27: this.state = this.escape; return;
    }
  }

  escape(ch) {
    const s = this.screen;
    this.state = this.ground;
    switch (ch) {
      case "[": this.params = ""; this.state = this.csi; return;
      case "]": this.text = ""; this.state = this.osc; return;
      case "P": case "X": case "^": case "_": this.text = ""; this.state = this.ignored; return;
      case "(": this.set = 0; this.state = this.charset; return;
      case ")": this.set = 1; this.state = this.charset; return;
      case "*": case "+": case "#": case "%": case " ": this.state = this.swallow; return;
      case "7": return s.save();
      case "8": return s.restore();
      case "D": return s.lineFeed();
      case "E": s.lineFeed(); return s.moveTo(0, s.y);
      case "H": return s.setTab();
      case "M": return s.reverseFeed();
      case "c": this.drawing = [false, false]; this.shift = 0; return s.reset();
      case "\x1b": this.state = this.escape; return;
    }
  }

  swallow() { this.state = this.ground; }

  charset(ch) {
    this.drawing[this.set] = ch === "0";
    this.state = this.ground;
  }

  // osc collects an operating system command, up to BEL or ESC \.
  osc(ch) {
    if (ch === "\x07" || ch === "\x1b" || ch === "\x9c") {
      const found = /^[02];(.*)$/s.exec(this.text);
      if (found) this.title(found[1]);
      this.state = ch === "\x1b" ? this.swallow : this.ground;
    } else if (this.text.length < 4096) this.text += ch;
  }

  ignored(ch) {
    if (ch === "\x1b") this.state = this.swallow;
    else if (ch === "\x07" || ch === "\x9c") this.state = this.ground;
  }

  csi(ch) {
    const code = ch.codePointAt(0);
    if (code < 0x20) return this.control(code); // controls act inside sequences too
    if (code < 0x40) { if (this.params.length < 256) this.params += ch; return; }
    this.state = this.ground;
    const [, mark, numbers, between] = /^([<=>?]?)([0-9;:]*)([ -/]*)/.exec(this.params);
    if (between === "!" && ch === "p") return this.softReset();
    if (between !== "") return;
    const args = numbers === "" ? [] : numbers.split(";");
    if (mark === "?") { if (ch === "h" || ch === "l") args.forEach((m) => this.privateMode(Number(m), ch === "h")); return; }
    if (mark === ">" && ch === "c") return this.reply("\x1b[>0;1;0c");
    if (mark !== "") return;
    if (ch === "m") return this.colours(args);
    this.command(ch, args.map((n) => Math.min(Number(n) || 0, 9999)));
  }

  // command runs one control sequence. The numbers of most default to 1.
  command(ch, args) {
    const s = this.screen, n = Math.max(1, args[0] ?? 1), m = Math.max(1, args[1] ?? 1), how = args[0] ?? 0;
    switch (ch) {
      case "A": return s.up(n);
      case "B": case "e": return s.down(n);
      case "C": case "a": return s.moveTo(s.x + n, s.y);
      case "D": return s.moveTo(s.x - n, s.y);
      case "E": s.down(n); return s.moveTo(0, s.y);
      case "F": s.up(n); return s.moveTo(0, s.y);
      case "G": case "`": return s.moveTo(n - 1, s.y);
      case "H": case "f": return s.address(m - 1, n - 1);
      case "I": return s.tab(n);
      case "J": return s.eraseDisplay(how);
      case "K": return s.eraseLine(how);
      case "L": return s.insertLines(n);
      case "M": return s.deleteLines(n);
      case "P": return s.deleteCells(n);
      case "S": return s.scrollUp(n);
      case "T": return s.scrollDown(n);
      case "X": return s.erase(s.y, s.x, s.x + n);
      case "Z": return s.tab(-n);
      case "@": return s.insertCells(n);
      case "b": for (let i = Math.min(n, s.cols * s.rows); i > 0; i--) s.print(this.last); return;
      case "c": return this.reply("\x1b[?1;2c");
      case "d": return s.address(s.x, n - 1);
      case "g": return s.clearTab(how === 3);
      case "h": case "l": if (how === 4) s.modes.insert = ch === "h"; return;
      case "n": return this.report(how);
      case "r": s.setRegion(n - 1, (args[1] || s.rows) - 1); return s.address(0, 0);
      case "s": return s.save();
      case "u": return s.restore();
    }
  }

  report(what) {
    if (what === 5) this.reply("\x1b[0n");
    if (what === 6) this.reply(`\x1b[${this.screen.y + 1};${this.screen.x + 1}R`);
  }

  privateMode(mode, on) {
    const s = this.screen;
    switch (mode) {
      case 1: s.modes.appKeys = on; return;
      case 6: s.modes.origin = on; return s.address(0, 0);
      case 7: s.modes.wrap = on; return;
      case 25: s.modes.cursor = on; return s.touch(s.y);
      case 47: case 1047: return s.alternate(on);
      case 1048: return on ? s.save() : s.restore();
      case 1049: if (on) s.save(); s.alternate(on); return on ? s.eraseDisplay(2) : s.restore();
      case 2004: s.modes.paste = on; return;
    }
  }

  softReset() {
    const s = this.screen;
    s.attr = plain;
    Object.assign(s.modes, { wrap: true, cursor: true, appKeys: false, origin: false, paste: false, insert: false });
    s.setRegion(0, s.rows - 1);
  }

  // colours is SGR. An argument may carry sub-arguments after colons.
  colours(args) {
    if (args.length === 0) args = ["0"];
    let a = { ...this.screen.attr };
    for (let i = 0; i < args.length; i++) {
      const subs = args[i].split(":"), n = Number(subs[0]);
      if (n === 38 || n === 48) {
        const joined = subs.length > 1;
        const from = joined ? subs.slice(1) : args.slice(i + 1);
        const [colour, used] = extended(from.map(Number), joined);
        a[n === 38 ? "fg" : "bg"] = colour;
        if (!joined) i += used;
      } else if (n === 4 && subs[1] === "0") a.under = false;
      else a = simple(a, n);
    }
    this.screen.attr = Object.freeze(a);
  }
}

// extended reads 5;index or 2;red;green;blue, and tells how many numbers it took.
// The form with colons may have a colour space in front of red.
function extended(n, joined) {
  if (n[0] === 5) return [indexed(n[1]), 2];
  if (n[0] !== 2) return [null, 1];
  const rgb = joined && n.length > 4 ? n.slice(2, 5) : n.slice(1, 4);
  return [`rgb(${rgb.map((v) => Math.min(255, v || 0)).join(",")})`, 4];
}

// indexed is a colour of xterm's palette of 256.
function indexed(i) {
  if (!(i >= 0 && i < 256)) return null;
  if (i < 16) return `var(--c${i})`;
  if (i >= 232) { const v = 8 + (i - 232) * 10; return `rgb(${v},${v},${v})`; }
  const level = (v) => (v === 0 ? 0 : 55 + v * 40), c = i - 16;
  return `rgb(${level(Math.floor(c / 36))},${level(Math.floor(c / 6) % 6)},${level(c % 6)})`;
}

function simple(a, n) {
  const flags = { 1: "bold", 2: "dim", 3: "italic", 4: "under", 7: "inverse", 8: "hidden", 9: "strike", 21: "under" };
  if (n === 0 || Number.isNaN(n)) return { ...plain };
  if (flags[n]) a[flags[n]] = true;
  else if (n === 22) a.bold = a.dim = false;
  else if (n >= 23 && n <= 29 && flags[n - 20]) a[flags[n - 20]] = false;
  else if (n >= 30 && n <= 37) a.fg = indexed(n - 30);
  else if (n === 39) a.fg = null;
  else if (n >= 40 && n <= 47) a.bg = indexed(n - 40);
  else if (n === 49) a.bg = null;
  else if (n >= 90 && n <= 97) a.fg = indexed(n - 82);
  else if (n >= 100 && n <= 107) a.bg = indexed(n - 92);
  return a;
}
