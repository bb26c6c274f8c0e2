// A terminal's screen: a grid of cells, a cursor, and what ECMA-48 and the VT
// series let a program do with them. It has no DOM and no network:
// parser.js calls it for the bytes that come, and view.js draws it.

export const plain = Object.freeze({ fg: null, bg: null, bold: false, dim: false, italic: false, under: false, inverse: false, hidden: false, strike: false });

const blank = (attr) => ({ c: " ", a: attr.bg === null ? plain : { ...plain, bg: attr.bg } });

// width is how many columns a character takes: 0, 1 or 2.
export function width(ch) {
  const p = ch.codePointAt(0);
  if (p < 0x300) return 1;
  if (/^[\p{Mn}\p{Me}\u200b-\u200f\ufe00-\ufe0f]$/u.test(ch)) return 0;
  const wide = (p >= 0x1100 && p <= 0x115f) || (p >= 0x2e80 && p <= 0xa4cf && p !== 0x303f) || (p >= 0xac00 && p <= 0xd7a3) ||
    (p >= 0xf900 && p <= 0xfaff) || (p >= 0xfe30 && p <= 0xfe6f) || (p >= 0xff00 && p <= 0xff60) || (p >= 0xffe0 && p <= 0xffe6) ||
    (p >= 0x1f300 && p <= 0x1faff) || (p >= 0x20000 && p <= 0x3fffd);
  return wide ? 2 : 1;
}

export class Screen {
  // scrolledOff is called with each line that leaves the top for the history.
  constructor(cols, rows, scrolledOff = () => {}) {
    this.cols = cols;
    this.rows = rows;
    this.scrolledOff = scrolledOff;
    this.reset();
  }

  reset() {
    this.attr = plain;
    this.x = 0;
    this.y = 0;
    this.wrapNext = false; // the last column is full: the next character goes to a new line
    this.modes = { wrap: true, cursor: true, appKeys: false, origin: false, paste: false, insert: false };
    this.main = null; // the lines of the main screen while the alternate one is shown
    this.saved = null;
    this.lines = this.emptyLines(this.rows);
    this.setRegion(0, this.rows - 1);
    this.tabs = null; // columns of tab stops; null: every eighth
    this.touchAll();
  }

  emptyLines(n) {
    return Array.from({ length: n }, () => this.emptyLine());
  }

  emptyLine() {
    return Array.from({ length: this.cols }, () => blank(this.attr));
  }

  // dirty holds the rows that view.js has to draw again.
  touch(y) { this.dirty.add(y); }
  touchAll() { this.dirty = new Set(this.lines.keys()); }

  setRegion(top, bottom) {
    this.top = Math.max(0, top);
    this.bottom = Math.min(this.rows - 1, bottom);
    if (this.top >= this.bottom) [this.top, this.bottom] = [0, this.rows - 1];
  }

  print(ch) {
    const w = width(ch);
    if (w === 0) return this.combine(ch);
    if (this.wrapNext || this.x + w > this.cols) this.wrapLine(w);
    const line = this.lines[this.y];
    if (this.modes.insert) { line.splice(this.x, 0, ...Array(w).fill(blank(this.attr))); line.length = this.cols; }
    this.splitWide(line, this.x);
    this.splitWide(line, this.x + w);
    line[this.x] = { c: ch, a: this.attr };
    if (w === 2 && this.x + 1 < this.cols) line[this.x + 1] = { c: "", a: this.attr };
    this.touch(this.y);
    if (this.x + w >= this.cols) this.wrapNext = this.modes.wrap;
    this.x = Math.min(this.x + w, this.cols - 1);
  }

  wrapLine(w) {
    this.wrapNext = false;
    if (!this.modes.wrap) { this.x = Math.max(0, this.cols - w); return; }
    this.x = 0;
    this.lineFeed();
  }

  combine(ch) {
    const x = this.wrapNext ? this.x : this.x - 1;
    const line = this.lines[this.y];
    const at = x > 0 && line[x].c === "" ? x - 1 : x;
    if (at >= 0 && line[at].c.length < 16) { line[at] = { c: line[at].c + ch, a: line[at].a }; this.touch(this.y); }
  }

  // splitWide blanks both halves of a wide character that starts left of x.
  splitWide(line, x) {
    if (x > 0 && x < this.cols && line[x].c === "") { line[x - 1] = blank(line[x - 1].a); line[x] = blank(line[x].a); }
  }

  moveTo(x, y) {
    this.touch(this.y);
    this.wrapNext = false;
    this.x = Math.min(Math.max(x, 0), this.cols - 1);
    this.y = Math.min(Math.max(y, 0), this.rows - 1);
    this.touch(this.y);
  }

  // address moves the cursor. In origin mode, rows count from the region's top.
  address(x, y) {
    if (this.modes.origin) y = Math.min(Math.max(y, 0) + this.top, this.bottom);
    this.moveTo(x, y);
  }

  up(n) { this.moveTo(this.x, Math.max(this.y - n, this.y >= this.top ? this.top : 0)); }
  down(n) { this.moveTo(this.x, Math.min(this.y + n, this.y <= this.bottom ? this.bottom : this.rows - 1)); }

  lineFeed() {
    if (this.y === this.bottom) this.scrollUp(1, true);
    else this.moveTo(this.x, this.y + 1);
    this.wrapNext = false;
  }

  reverseFeed() {
    if (this.y === this.top) this.scrollDown(1);
    else this.moveTo(this.x, this.y - 1);
  }

  tab(n) {
    let x = this.x;
    for (; n > 0 && x < this.cols - 1; n--) do x++; while (x < this.cols - 1 && !this.isTab(x));
    for (; n < 0 && x > 0; n++) do x--; while (x > 0 && !this.isTab(x));
    this.moveTo(x, this.y);
  }

  isTab(x) { return this.tabs ? this.tabs.has(x) : x % 8 === 0; }

  setTab() {
    this.tabs ??= new Set(Array.from({ length: 128 }, (_, i) => i * 8));
    this.tabs.add(this.x);
  }

  clearTab(all) {
    this.tabs ??= new Set(Array.from({ length: 128 }, (_, i) => i * 8));
    if (all) this.tabs.clear(); else this.tabs.delete(this.x);
  }

  // If keep is true, lines that leave the top of the main screen go to the history.
  scrollUp(n, keep = false) {
    for (n = Math.min(n, this.rows); n > 0; n--) {
      const [gone] = this.lines.splice(this.top, 1);
      if (keep && this.top === 0 && !this.main) this.scrolledOff(gone);
      this.lines.splice(this.bottom, 0, this.emptyLine());
    }
    this.touchAll();
  }

  scrollDown(n) {
    for (n = Math.min(n, this.rows); n > 0; n--) {
      this.lines.splice(this.bottom, 1);
      this.lines.splice(this.top, 0, this.emptyLine());
    }
    this.touchAll();
  }

  // insertLines and deleteLines scroll what is between the cursor and the
  // region's bottom.
  insertLines(n) { this.within(() => this.scrollDown(n)); }
  deleteLines(n) { this.within(() => this.scrollUp(n)); }

  within(scroll) {
    if (this.y < this.top || this.y > this.bottom) return;
    const top = this.top;
    this.top = this.y;
    scroll();
    this.top = top;
    this.x = 0;
    this.wrapNext = false;
  }

  insertCells(n) {
    const line = this.lines[this.y];
    n = Math.min(n, this.cols - this.x);
    line.splice(this.x, 0, ...Array.from({ length: n }, () => blank(this.attr)));
    line.length = this.cols;
    this.touch(this.y);
  }

  deleteCells(n) {
    const line = this.lines[this.y];
    n = Math.min(n, this.cols - this.x);
    line.splice(this.x, n);
    while (line.length < this.cols) line.push(blank(this.attr));
    this.touch(this.y);
  }

  erase(y, from, to) {
    const line = this.lines[y];
    this.splitWide(line, from);
    this.splitWide(line, to);
    for (let x = from; x < Math.min(to, this.cols); x++) line[x] = blank(this.attr);
    this.touch(y);
  }

  // eraseLine and eraseDisplay: 0 to the end, 1 from the start, 2 all.
  eraseLine(how) {
    this.wrapNext = false;
    this.erase(this.y, how === 0 ? this.x : 0, how === 1 ? this.x + 1 : this.cols);
  }

  eraseDisplay(how) {
    if (how > 2) return;
    const from = how === 0 ? this.y + 1 : 0, to = how === 1 ? this.y : this.rows;
    for (let y = from; y < to; y++) this.erase(y, 0, this.cols);
    if (how < 2) this.eraseLine(how);
  }

  save() { this.saved = { x: this.x, y: this.y, attr: this.attr, origin: this.modes.origin }; }

  restore() {
    const s = this.saved ?? { x: 0, y: 0, attr: plain, origin: false };
    this.attr = s.attr;
    this.modes.origin = s.origin;
    this.moveTo(s.x, s.y);
  }

  // alternate shows the second screen, which editors use, or goes back.
  alternate(on) {
    if (on === (this.main !== null)) return;
    if (on) {
      this.main = this.lines;
      this.lines = this.emptyLines(this.rows);
    } else {
      this.lines = this.main.map((line) => this.fit(line));
      this.main = null;
      while (this.lines.length < this.rows) this.lines.push(this.emptyLine());
      this.lines.length = this.rows;
    }
    this.setRegion(0, this.rows - 1);
    this.touchAll();
  }

  fit(line) {
    while (line.length < this.cols) line.push(blank(plain));
    line.length = this.cols;
    return line;
  }

  resize(cols, rows) {
    this.cols = cols;
    while (this.lines.length > rows) {
      if (this.y < this.lines.length - 1) { this.lines.pop(); continue; }
      const gone = this.lines.shift();
      if (!this.main) this.scrolledOff(gone);
      this.y--;
    }
    this.lines.forEach((line) => this.fit(line));
    while (this.lines.length < rows) this.lines.push(this.emptyLine());
    this.rows = rows;
    this.setRegion(0, rows - 1);
    this.x = Math.min(this.x, cols - 1);
    this.wrapNext = false;
    this.touchAll();
  }
}
