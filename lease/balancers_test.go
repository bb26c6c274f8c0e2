package lease

import (
	"strings"
	"testing"
)

func TestParseBalancers(t *testing.T) {
	key := func(digit string) string { return strings.Repeat(digit, 64) }
	three := "lb-1=" + key("1") + "\n lb-2=" + key("2") + "\nlb-3=" + key("a") + "\n"
	for _, row := range []struct{ text, want string }{
		{"# the region\n\n" + three, ""},
		{"lb-1=" + key("1") + "\nlb-2=" + key("2"), "there are fewer than three balancers: one that is away would close all terminals"},
		{three + "lb-4", "line 4: want NAME=KEY, such as lb fingerprint writes it"},
		{three + "=" + key("4"), "line 4: want NAME=KEY, such as lb fingerprint writes it"},
		{three + "lb-4=" + key("x"), "line 4: want NAME=KEY, such as lb fingerprint writes it"},
		{three + "lb-4=" + key("4")[1:], "line 4: want NAME=KEY, such as lb fingerprint writes it"},
		{three + "lb-4=" + key("4") + "4", "line 4: want NAME=KEY, such as lb fingerprint writes it"},
		{three + "lb-1=" + key("4"), "line 4: there is another key of lb-1"},
		{three + "lb-4=" + key("1"), "line 4: lb-4 has the key of lb-1"},
	} {
		all, err := ParseBalancers(strings.Split(row.text, "\n"))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != row.want || row.want == "" && len(all) != 3 {
			t.Errorf("%q: %v, %v", row.text, all, err)
		}
		for f, name := range all {
			if !strings.Contains(row.text, name+"="+f.String()) {
				t.Errorf("%s has the key %s", name, f)
			}
		}
	}
}
