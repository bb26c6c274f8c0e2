// Draws a Screen into the page: one element per row, redrawn when it changes,
// at most once per frame.

const maxHistory = 2000; // rows

export class View {
  constructor(terminal, history, rows) {
    this.terminal = terminal;
    this.history = history;
    this.rows = rows;
    this.waiting = false;
    this.gone = []; // lines on their way to the history
    this.following = true; // whether the end stays in view when lines are added or the terminal gets smaller
    terminal.addEventListener("scroll", () => this.scrolled());
  }

  // scrolled stops following when the user scrolls up, and follows again when the user is
  // at the end. A change of the height scrolls, too, but the user hasn't asked for it.
  scrolled() {
    const t = this.terminal;
    if (t.clientHeight === this.height) this.following = t.scrollHeight - t.scrollTop - t.clientHeight < 40;
  }

  // show makes screen the one that is drawn.
  show(screen) {
    this.screen = screen;
    this.history.replaceChildren();
    this.rows.replaceChildren();
    this.gone = [];
    screen.touchAll();
    this.refresh();
  }

  scrolledOff(line) {
    this.gone.push(line);
    if (this.gone.length > maxHistory) this.gone.shift();
  }

  clearHistory() {
    this.gone = [];
    this.history.replaceChildren();
  }

  refresh() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  draw() {
    for (const line of this.gone.splice(0)) this.history.append(row(line, -1));
    while (this.history.childElementCount > maxHistory) this.history.firstChild.remove();
    const { lines, dirty, x, y, modes } = this.screen;
    while (this.rows.childElementCount > lines.length) this.rows.lastChild.remove();
    while (this.rows.childElementCount < lines.length) { dirty.add(this.rows.childElementCount); this.rows.append(document.createElement("div")); }
    dirty.add(y);
    if (this.cursorRow !== undefined) dirty.add(this.cursorRow);
    this.cursorRow = y;
    for (const at of dirty) {
      if (lines[at]) this.rows.children[at].replaceWith(row(lines[at], at === y && modes.cursor ? x : -1));
    }
    dirty.clear();
    this.height = this.terminal.clientHeight;
    if (this.following) this.terminal.scrollTop = this.terminal.scrollHeight;
  }

  // size is how many columns and rows fit.
  size() {
    const probe = document.createElement("span");
    probe.textContent = "M".repeat(100);
    const holder = document.createElement("div");
    holder.append(probe);
    this.history.append(holder);
    const { width, height } = probe.getBoundingClientRect();
    const lineHeight = holder.getBoundingClientRect().height || height;
    holder.remove();
    const style = getComputedStyle(this.terminal);
    const w = this.terminal.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const h = this.terminal.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    if (!(width > 0 && lineHeight > 0)) return [80, 24];
    return [Math.min(500, Math.max(20, Math.floor(w / (width / 100)))), Math.min(200, Math.max(5, Math.floor(h / lineHeight)))];
  }
}

// row is one line as an element; cursor is the cursor's column or -1.
function row(line, cursor) {
  const el = document.createElement("div");
  let end = line.length;
  while (end > 0 && end - 1 !== cursor && line[end - 1].c === " " && line[end - 1].a.bg === null && !line[end - 1].a.inverse) end--;
  for (let x = 0; x < end;) {
    let text = line[x].c, next = x + 1;
    while (next < end && next !== cursor && x !== cursor && same(line[next].a, line[x].a)) text += line[next++].c;
    if (x === cursor && line[next]?.c === "") next++;
    el.append(run(text, line[x].a, x === cursor));
    x = next;
  }
  return el;
}

function same(a, b) {
  return a === b || Object.keys(a).every((k) => a[k] === b[k]);
}

function run(text, a, isCursor) {
  const el = document.createElement("span");
  el.textContent = text;
  const [fg, bg] = a.inverse ? [a.bg ?? "var(--ground)", a.fg ?? "var(--text)"] : [a.fg, a.bg];
  if (isCursor) el.className = "cursor";
  else {
    if (fg) el.style.color = fg;
    if (bg) el.style.backgroundColor = bg;
  }
  for (const name of ["bold", "dim", "italic", "under", "strike", "hidden"]) if (a[name]) el.classList.add(name);
  return el;
}
