package haproxycfg

import (
	"slices"
	"strings"
	"testing"
)

// TestWordsAreHAProxys: what HAProxy 2.6 makes of these lines, as it shows when
// it complains of a server's name.
func TestWordsAreHAProxys(t *testing.T) {
	for _, row := range []struct{ line, want string }{
		{`a b	c`, `a|b|c`},
		{`  a  b  `, `a|b`},
		{`a # b`, `a`},
		{`a#b`, `a`},
		{`a "" b`, `a||b`},
		{`a"b\"c"`, `ab"c`},
		{`a'b\"c'`, `ab\"c`},
		{`a"b\'c"`, `ab'c`},
		{`a\'c`, `a'c`},
		{`a\"c`, `a"c`},
		{`a"\#\ x\\"`, `a# x\`},
		{`z\qx`, `z\qx`},
		{`a\ b\#c`, `a b#c`},
		{`a"b # c"`, `ab # c`},
		{`a'b # "c'`, `ab # "c`},
		{`\x41\x6a`, `Aj`},
		{`a\`, `a\`},
		{`$HOME`, `$HOME`},
		{`"\$X"`, `$X`},
		{"a\rb", `a`},
	} {
		words, err := split(row.line, nil)
		if err != nil {
			t.Errorf("%q: %v", row.line, err)
			continue
		}
		var got []string
		for _, w := range words {
			got = append(got, w.text)
			if w.variable != "" {
				t.Errorf("%q: %q is no variable", row.line, w.variable)
			}
		}
		if strings.Join(got, "|") != row.want {
			t.Errorf("%q: got %q, want %q", row.line, got, row.want)
		}
	}
}

func TestVariablesAreSeenInDoubleQuotesOnly(t *testing.T) {
	for _, row := range []struct{ line, variable, text string }{
		{`"$HOME:80"`, "$HOME", "${HOME}:80"},
		{`"a${HOME}b"`, "${HOME}", "a${HOME}b"},
		{`"${HOME-x}"`, "${HOME-x}", "${HOME-x}"},
		{`"$A$B"`, "$A", "${A}${B}"},
		{`"${OPEN"`, `${OPEN"`, ""}, // and so the quote isn't closed
		{`'$HOME'`, "", "$HOME"},
		{`"1$"`, "", "1$"},
	} {
		words, err := split(row.line, nil)
		if row.text == "" {
			if err == nil {
				t.Errorf("%s: got %v, want an error", row.line, words)
			}
			continue
		}
		if err != nil || len(words) != 1 || words[0].variable != row.variable || words[0].text != row.text {
			t.Errorf("%s: got %q, %v; want the variable %q in %q", row.line, words, err, row.variable, row.text)
		}
	}
}

func TestVariablesOfTheFileAreExpanded(t *testing.T) {
	env := newEnvironment(nil)
	env.set = map[string]string{"A": "x y", "EMPTY": ""}
	for _, row := range []struct{ line, variable, text string }{
		{`"$A:80"`, "", "x y:80"},
		{`"${A}"`, "", "x y"},
		{`"${A-z}"`, "", "x y"},
		{`"a${EMPTY}b"`, "", "ab"},
		{`"$A$B"`, "$B", "x y${B}"},
		{`'$A'`, "", "$A"},
	} {
		words, err := split(row.line, env)
		if err != nil || len(words) != 1 || words[0].variable != row.variable || words[0].text != row.text {
			t.Errorf("%s: got %q, %v; want the variable %q in %q", row.line, words, err, row.variable, row.text)
		}
	}
}

func TestLinesThatHAProxyRefuses(t *testing.T) {
	for _, line := range []string{`"`, `'`, `a "b`, `a 'b"`, `\x`, `\x4`, `\x4g`} {
		if words, err := split(line, nil); err == nil {
			t.Errorf("%s: got %q, want an error", line, words)
		}
	}
}

// TestServersAreNumberedAsThere: the numbers that HAProxy 2.6 shows for them.
func TestServersAreNumberedAsThere(t *testing.T) {
	for _, row := range []struct{ given, want []uint64 }{
		{[]uint64{0, 0, 0}, []uint64{1, 2, 3}},
		{[]uint64{0, 10, 0, 4, 0, 2, 0}, []uint64{1, 10, 3, 4, 5, 2, 7}},
		{[]uint64{40, 0, 0, 0, 0, 0, 0}, []uint64{40, 2, 3, 4, 5, 6, 7}},
		{[]uint64{0, 1, 2}, []uint64{3, 1, 2}},
		{nil, nil},
	} {
		var all []*server
		for _, id := range row.given {
			all = append(all, &server{id: id, explicit: id != 0})
		}
		number(all)
		var got []uint64
		for _, s := range all {
			got = append(got, s.id)
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%v: got %v, want %v", row.given, got, row.want)
		}
	}
}
