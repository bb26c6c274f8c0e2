// What a terminal sends for a key (as xterm does), and the events it comes from.

const letters = { ArrowUp: "A", ArrowDown: "B", ArrowRight: "C", ArrowLeft: "D", Home: "H", End: "F", F1: "P", F2: "Q", F3: "R", F4: "S" };
const tildes = { Insert: 2, Delete: 3, PageUp: 5, PageDown: 6, F5: 15, F6: 17, F7: 18, F8: 19, F9: 20, F10: 21, F11: 23, F12: 24 };
const controls = { Enter: "\r", Tab: "\t", Escape: "\x1b", Backspace: "\x7f" };

// sequence returns what a terminal sends for the key event e. It returns null for text,
// which comes as an input event, and for the browser's own shortcuts.
export function sequence(e, modes) {
  if (e.metaKey || e.isComposing) return null;
  const bits = (e.shiftKey ? 1 : 0) + (e.altKey ? 2 : 0) + (e.ctrlKey ? 4 : 0);
  if (letters[e.key]) {
    if (bits) return `\x1b[1;${bits + 1}${letters[e.key]}`;
    return (modes.appKeys || /^F\d/.test(e.key) ? "\x1bO" : "\x1b[") + letters[e.key];
  }
  if (tildes[e.key]) return bits ? `\x1b[${tildes[e.key]};${bits + 1}~` : `\x1b[${tildes[e.key]}~`;
  if (e.key === "Tab" && e.shiftKey) return "\x1b[Z";
  if (controls[e.key]) return (e.altKey ? "\x1b" : "") + (e.key === "Backspace" && e.ctrlKey ? "\b" : controls[e.key]);
  if (e.ctrlKey && !e.altKey && !e.shiftKey && e.key.length === 1) return control(e.key);
  if (e.altKey && !e.ctrlKey && e.key.length === 1 && e.key.charCodeAt(0) < 128) return "\x1b" + e.key;
  return null;
}

function control(key) {
  if (key === " ") return "\0";
  const code = key.toUpperCase().charCodeAt(0);
  if (code >= 64 && code <= 95) return String.fromCharCode(code - 64);
  return { "/": "\x1f", "2": "\0", "3": "\x1b", "8": "\x7f" }[key] ?? null;
}

// pasted returns text as a program expects a paste: its lines end with CR, and it doesn't
// have the sequence that ends a paste.
export function pasted(text, modes) {
  text = text.replace(/\r\n?|\n/g, "\r");
  return modes.paste ? "\x1b[200~" + text.replaceAll("\x1b", "") + "\x1b[201~" : text;
}

// listen sends what the user types into input. modes tells the screen's modes.
export function listen(terminal, input, modes, send) {
  input.addEventListener("keydown", (e) => {
    if (e.ctrlKey && !e.shiftKey && e.key === "c" && !getSelection().isCollapsed) return; // copy
    const keys = sequence(e, modes());
    if (keys === null) return;
    e.preventDefault();
    send(keys);
  });
  const typed = () => {
    if (input.value !== "") send(input.value.replace(/\n/g, "\r"));
    input.value = "";
  };
  input.addEventListener("input", (e) => { if (!e.isComposing) typed(); });
  input.addEventListener("compositionend", typed);
  input.addEventListener("paste", (e) => {
    e.preventDefault();
    send(pasted(e.clipboardData.getData("text"), modes()));
  });
  terminal.addEventListener("mouseup", () => { if (getSelection().isCollapsed) input.focus({ preventScroll: true }); });
  input.focus({ preventScroll: true });
}
