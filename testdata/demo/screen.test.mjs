// What the page's terminal shows for what a program sends. Each row: a promise,
// bytes, the screen of 10 columns and 4 rows that results (rows without their
// trailing spaces, empty ones at the end left out), and the cursor, if it matters.
import { Parser } from "../../demo/assets/static/parser.js";
import { Screen } from "../../demo/assets/static/screen.js";
import { pasted, sequence } from "../../demo/assets/static/keys.js";

const rows = [
  ["text, CR and LF", "one\r\ntwo", ["one", "two"], [3, 1]],
  ["LF alone goes straight down", "ab\nc", ["ab", "  c"]],
  ["backspace moves only", "abc\b\bX", ["aXc"]],
  ["tabs go to every eighth column", "a\tb", ["a       b"]],
  ["the last column wraps late", "0123456789", ["0123456789"], [9, 0]],
  ["and then it does", "0123456789X", ["0123456789", "X"], [1, 1]],
  ["CR after the last column stays in the line", "0123456789\rX", ["X123456789"]],
  ["no wrap when it is off", "\x1b[?7l0123456789XY", ["012345678Y"]],
  ["the fifth line scrolls", "1\r\n2\r\n3\r\n4\r\n5", ["2", "3", "4", "5"], [1, 3]],
  ["cursor addressing", "\x1b[2;3HX\x1b[HY", ["Y", "  X"]],
  ["cursor movement stops at the edges", "\x1b[99;99H\x1b[99A\x1b[99DX", ["X"]],
  ["erase to the end of the line", "abcdef\x1b[3D\x1b[K", ["abc"]],
  ["erase to its beginning", "abcdef\x1b[3D\x1b[1K", ["    ef"]],
  ["erase below", "a\r\nb\r\nc\x1b[2;1H\x1b[J", ["a"]],
  ["erase all keeps the cursor", "a\r\nb\x1b[2JX", ["", " X"]],
  ["insert and delete characters", "abcdef\x1b[1G\x1b[2P\x1b[@", [" cdef"]],
  ["insert and delete lines", "1\r\n2\r\n3\x1b[1;1H\x1b[M\x1b[2;1H\x1b[L", ["2", "", "3"]],
  ["a scroll region", "1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[3;1H\nX", ["1", "3", "X", "4"]],
  ["reverse line feed at the top", "1\r\n2\x1b[H\x1bMX", ["X", "1", "2"]],
  ["save and restore", "ab\x1b7\r\ncd\x1b8X", ["abX", "cd"]],
  ["the alternate screen goes without a trace", "shell\x1b[?1049heditor\x1b[?1049l!", ["shell!"]],
  ["wide characters take two columns", "日本X", ["日本X"], [5, 0]],
  ["half a wide character is none", "日\x1b[2GX", [" X"]],
  ["combining marks join", "e\u0301x", ["e\u0301x"], [2, 0]],
  ["line drawing", "\x1b(0lqk\x1b(B", ["┌─┐"]],
  ["repeat", "a\x1b[3b", ["aaaa"]],
  ["titles are not shown", "\x1b]0;title\x07x\x1b]2;y\x1b\\z", ["xz"]],
  ["device control strings are not shown", "\x1bPq#0\x1b\\x", ["x"]],
  ["unknown sequences are not shown", "\x1b[?9999h\x1b[>4;2m\x1b[5 q\x1b[!px", ["x"]],
  ["a control inside a sequence acts", "ab\x1b[\r1CX", ["aX"]],
  ["reset", "abc\x1bcX", ["X"]],
];

let failed = 0;
function check(name, got, want) {
  got = JSON.stringify(got);
  want = JSON.stringify(want);
  if (got === want) return;
  failed++;
  console.log(`${name}: got ${got}, want ${want}`);
}

function text(screen) {
  const lines = screen.lines.map((line) => line.map((cell) => cell.c).join("").trimEnd());
  while (lines.length && lines.at(-1) === "") lines.pop();
  return lines;
}

const bytes = (s) => new TextEncoder().encode(s);

for (const [name, input, want, cursor] of rows) {
  const screen = new Screen(10, 4), parser = new Parser(screen);
  for (const b of bytes(input)) parser.feed(new Uint8Array([b])); // cut everywhere
  check(name, text(screen), want);
  if (cursor) check(name + " (cursor)", [screen.x, screen.y], cursor);
}

{ // colours
  const screen = new Screen(10, 4), parser = new Parser(screen);
  parser.feed(bytes("\x1b[1;31ma\x1b[38;5;196;48;2;1;2;3mb\x1b[38:2::9:8:7mc\x1b[0;7md\x1b[me\x1b[91mf"));
  const seen = screen.lines[0].slice(0, 6).map(({ a }) => [a.fg, a.bg, a.bold, a.inverse]);
  check("colours", seen, [
    ["var(--c1)", null, true, false], ["rgb(255,0,0)", "rgb(1,2,3)", true, false], ["rgb(9,8,7)", "rgb(1,2,3)", true, false],
    [null, null, false, true], [null, null, false, false], ["var(--c9)", null, false, false],
  ]);
}
{ // what leaves the top of the main screen is kept, of the alternate one not
  const kept = [];
  const screen = new Screen(10, 2, (line) => kept.push(line.map((c) => c.c).join("").trimEnd())), parser = new Parser(screen);
  parser.feed(bytes("1\r\n2\r\n3\x1b[?1049h4\r\n5\r\n6\r\n7\x1b[?1049l"));
  check("history", kept, ["1"]);
  check("main screen is back", text(screen), ["2", "3"]);
}
{ // questions
  const answers = [];
  const parser = new Parser(new Screen(10, 4), (s) => answers.push(s));
  parser.feed(bytes("ab\x1b[6n\x1b[5n\x1b[c"));
  check("answers", answers, ["\x1b[1;3R", "\x1b[0n", "\x1b[?1;2c"]);
}
{ // resizing loses nothing that is at the cursor
  const kept = [];
  const screen = new Screen(10, 4, (line) => kept.push(line[0].c)), parser = new Parser(screen);
  parser.feed(bytes("1\r\n2\r\n3\r\n4"));
  screen.resize(5, 2);
  check("smaller", [text(screen), kept, screen.y], [["3", "4"], ["1", "2"], 1]);
  screen.resize(20, 6);
  parser.feed(bytes("\x1b[6;20HX"));
  check("larger", text(screen).length, 6);
}
{ // nothing that a program sends breaks the screen
  let seed = 1;
  const next = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const alphabet = ["\x1b[", "\x1b", "\x1b]", ";", "?", "1", "9", "99999", "A", "H", "J", "K", "L", "M", "P", "@", "X", "r", "h", "l", "m", "日", "\u0301", "\n", "\r", "\b", "\t", "\x07", "x", "1049", "S", "T", "b", "7", "8", "c", "6"];
  const screen = new Screen(10, 4), parser = new Parser(screen);
  for (let i = 0; i < 60000; i++) {
    parser.feed(bytes(alphabet[next(alphabet.length)]));
    if (i % 97 === 0) screen.resize(1 + next(30), 1 + next(12));
    const sound = screen.lines.length === screen.rows && screen.lines.every((l) => l.length === screen.cols && l.every((c) => c && c.a)) &&
      screen.x >= 0 && screen.x < screen.cols && screen.y >= 0 && screen.y < screen.rows;
    if (!sound) { check("a sound screen at step " + i, false, true); break; }
  }
}

const key = (name, more = {}) => ({ key: name, shiftKey: false, altKey: false, ctrlKey: false, metaKey: false, ...more });
for (const [name, event, modes, want] of [
  ["arrow", key("ArrowUp"), {}, "\x1b[A"],
  ["arrow for an editor", key("ArrowUp"), { appKeys: true }, "\x1bOA"],
  ["arrow with Ctrl", key("ArrowLeft", { ctrlKey: true }), {}, "\x1b[1;5D"],
  ["Ctrl-C", key("c", { ctrlKey: true }), {}, "\x03"],
  ["Ctrl-Space", key(" ", { ctrlKey: true }), {}, "\0"],
  ["Ctrl-Shift-C is the browser's", key("C", { ctrlKey: true, shiftKey: true }), {}, null],
  ["Alt-b", key("b", { altKey: true }), {}, "\x1bb"],
  ["AltGr is text", key("@", { altKey: true, ctrlKey: true }), {}, null],
  ["Enter", key("Enter"), {}, "\r"],
  ["Backspace", key("Backspace"), {}, "\x7f"],
  ["Delete", key("Delete"), {}, "\x1b[3~"],
  ["Shift-Tab", key("Tab", { shiftKey: true }), {}, "\x1b[Z"],
  ["a letter is text", key("a"), {}, null],
]) check(name, sequence(event, modes), want);
check("a paste", pasted("a\nb\r\nc", {}), "a\rb\rc");
check("a bracketed paste can't end itself", pasted("a\x1b[201~b", { paste: true }), "\x1b[200~a[201~b\x1b[201~");

if (failed) process.exit(1);
