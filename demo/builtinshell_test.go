package demo

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestBuiltinCommands(t *testing.T) {
	b := newBuiltin("ide-1", time.Now(), func() int { return 3 })
	for _, row := range []struct{ line, want string }{
		{"", ""},
		{"host", "ide-1"},
		{"echo  two  words ", "two  words"},
		{"count", "3 open on ide-1"},
		{"uptime", "up 0s"},
		{"rm -rf /", "no such command; try help"},
	} {
		if got := b.command(row.line); got != row.want {
			t.Errorf("%q: got %q, want %q", row.line, got, row.want)
		}
	}
	for _, name := range strings.Fields("help whoami host date echo uptime count") {
		if strings.Contains(b.command(name), "no such command") || !strings.Contains(b.command("help"), name) {
			t.Errorf("%s isn't a command that help lists", name)
		}
	}
}

func TestBuiltinLineEditing(t *testing.T) {
	for _, row := range []struct{ keys, want string }{
		{"ho\x7f\x7fecho hi\r", "echo hi\r\nhi\r\n"},
		{"echo é\x7fe\r", "\r\ne\r\n"},             // a character goes whole
		{"\x7f\x7fecho ok\n", "\r\nok\r\n"},        // nothing to erase
		{"echo a\x1b[A\x1b[1;5Cb\r", "\r\nab\r\n"}, // arrows do nothing
		{"echo no\x03echo yes\r", "^C\r\n"},        //
		{"echo no\x03echo yes\r", "\r\nyes\r\n"},   //
		{"echo " + strings.Repeat("x", 5000) + "\r", strings.Repeat("x", maxLine-5) + "\r\nide-1> "},
	} {
		if shown := play(t, row.keys+"exit\r"); !strings.Contains(shown, row.want) {
			t.Errorf("%.40q shows %.80q, want %.80q in it", row.keys, shown, row.want)
		}
	}
	if shown := play(t, "\x04"); !strings.HasSuffix(shown, "> ") {
		t.Errorf("Ctrl-D shows %q", shown)
	}
}

// play types keys, which must end the program, and returns what it showed.
func play(t *testing.T, keys string) string {
	t.Helper()
	b := newBuiltin("ide-1", time.Now(), func() int { return 1 })
	typed := make(chan error, 1)
	go func() {
		_, err := b.Write([]byte(keys))
		typed <- err
	}()
	shown, err := io.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-typed; err != nil {
		t.Fatal(err)
	}
	return string(shown)
}
