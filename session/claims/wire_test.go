package claims

import (
	"bytes"
	"slices"
	"testing"

	"tokenring/balancer"
)

func TestAnswersAreReadAsWritten(t *testing.T) {
	all := [][2]Answer{{}, {{Held, "ide-1"}, {Lingers, "ide-2"}}, {{Deciding, "a"}, {}}, {{}, {Live, "b"}}}
	var text []byte
	for _, one := range all {
		text = appendAnswer(text, one)
	}
	got, err := readAnswers(text, len(all))
	if err != nil || !slices.Equal(got, all) {
		t.Errorf("got %v, %v", got, err)
	}
	for n := range text {
		if _, err := readAnswers(text[:n], len(all)); err == nil {
			t.Errorf("the first %d bytes are taken for an answer", n)
		}
	}
	if _, err := readAnswers(append(text, 0), len(all)); err == nil {
		t.Error("one byte too many is taken for an answer")
	}
}

func FuzzReadAnswers(f *testing.F) {
	f.Add(appendAnswer(nil, [2]Answer{{Held, "a"}, {Live, "b"}}), 1)
	f.Add(append([]byte{byte(Held), 255}, bytes.Repeat([]byte("a"), 255)...), 1) // the longest that a byte can say
	f.Fuzz(func(t *testing.T, text []byte, n int) {
		n = min(max(n, 0), maxKeys)
		all, err := readAnswers(text, n)
		if err != nil {
			return
		}
		var again []byte
		for _, one := range all {
			again = appendAnswer(again, one)
		}
		if !slices.Equal(again, text) {
			t.Errorf("%q is read as %v", text, all)
		}
	})
}

func FuzzReadQuestion(f *testing.F) {
	f.Add(appendQuestion(nil, []balancer.Digest{{1}, {2}}))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := readQuestion(text)
		if err == nil && !slices.Equal(appendQuestion(nil, keys), text) {
			t.Errorf("%q is read as %v", text, keys)
		}
	})
}
