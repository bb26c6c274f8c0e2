package record

import (
	"bytes"
	"strings"
	"testing"
)

func TestARecordSaysWhatWasServedFromWhenToWhen(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	first, err := w.Begin("secret-1", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Begin("secret-2", false); err != nil {
		t.Fatal(err)
	}
	first()
	if strings.Contains(out.String(), "secret") {
		t.Errorf("a token is in the record: %s", out.String())
	}
	out.WriteString("+ 123") // the host has crashed while it wrote
	all, err := Read(&out, "ide-1")
	if err != nil || len(all) != 2 {
		t.Fatalf("got %v, %v", all, err)
	}
	if s := all[0]; s.Host != "ide-1" || s.Token != Digest("secret-1") || !s.Terminal || s.From == 0 || s.To < s.From || s.To == Open {
		t.Errorf("the terminal that has ended is %+v", s)
	}
	if s := all[1]; s.Token != Digest("secret-2") || s.Terminal || s.To != Open {
		t.Errorf("the request that hasn't ended is %+v", s)
	}
}

func TestARecordThatIsBrokenSaysWhere(t *testing.T) {
	for _, text := range []string{"hello\n", "- 5 1\n", "+ 1 1 ab terminal\n- x 1\n"} {
		if _, err := Read(strings.NewReader(text), "ide-1"); err == nil || !strings.Contains(err.Error(), "ide-1: line") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
