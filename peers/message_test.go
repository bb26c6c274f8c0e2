package peers

import (
	"encoding/json"
	"testing"
	"time"

	"tokenring/route"
)

func FuzzMessage(f *testing.F) {
	f.Add(EncodeMessage(append(must(f, override("a", route.Maint, 0), override("b", route.Ready, 1), weighing("b", 3, 2)),
		mustStart(f, SlowStart{Host: "a", Number: 1, Since: at(1), Lasts: time.Minute})...)...))
	f.Add([]byte(`{"version":1,"decisions":[{"host":"a","state":"drain","at":"1999-01-01T00:00:00Z","origin":"lb-2","deadline":"2h"}],"pins":[1]}`))
	f.Add([]byte(`{"version":2,"kind":"registers","registers":[{"kind":"vote","key":"a","rank":7,"up":true}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeMessage(b, nil)
		if err != nil {
			return
		}
		want := newestOf{}
		want.add(m.Registers...)
		got := newestOf{}
		if _, err := got.read(encode("", want.list())); err != nil {
			t.Fatalf("what was merged can't be read back: %v", err)
		}
		if got, want := EncodeMessage(got.list()...), EncodeMessage(want.list()...); string(got) != string(want) {
			t.Errorf("the file changed it: got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestWhatIsPutTogetherIsJSON(t *testing.T) {
	all := append(must(t, override("a", route.Maint, 0), override("b", route.Ready, 1)), mustStart(t, SlowStart{Host: "a", Number: 1})...)
	for n := range len(all) + 1 {
		if b := EncodeMessage(all[:n]...); !json.Valid(b) {
			t.Errorf("%d registers: %s", n, b)
		}
	}
}
