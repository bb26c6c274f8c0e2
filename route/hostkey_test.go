package route

import (
	"strings"
	"testing"
)

func TestAHostKeyIsReadAsItIsWritten(t *testing.T) {
	key := HostKey{1, 2, 3, 31: 255}
	for _, text := range []string{key.String(), key.String() + "="} {
		if got, err := ParseHostKey(text); got != key || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if got := key.Fingerprint(); len(got) != 16 {
		t.Errorf("the fingerprint is %q", got)
	}
	var none HostKey
	if none.String() != "" || none.Fingerprint() != "" || !none.IsZero() {
		t.Errorf("no key is %q, %q", none.String(), none.Fingerprint())
	}
	if err := none.UnmarshalText(nil); err != nil || !none.IsZero() {
		t.Errorf("no key: %v, %v", none, err)
	}
	for _, text := range []string{"", "abc", strings.Repeat("A", 43), key.String() + "==", " " + key.String(), strings.Repeat("/", 44), key.String()[:42] + "_"} {
		if got, err := ParseHostKey(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
