package moment

import (
	"testing"
	"time"
)

func TestTheZeroTimeIsNone(t *testing.T) {
	var none time.Time
	early := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	late := early.Add(time.Second)
	for _, row := range []struct {
		what      string
		got, want time.Time
	}{
		{"earliest of two", Earliest(late, early), early},
		{"earliest of none and one", Earliest(none, late), late},
		{"earliest of one and none", Earliest(late, none), late},
		{"earliest of none", Earliest(none, none), none},
		{"latest of two", Latest(early, late), late},
		{"latest of one and none", Latest(late, none), late},
		{"one or else", OrElse(early, late), early},
		{"none or else", OrElse(none, late), late},
		{"a past time", Past(early, late), early},
		{"a future time", Past(late, early), early},
		{"none is past", Past(none, early), none},
	} {
		if !row.got.Equal(row.want) {
			t.Errorf("%s: got %v, want %v", row.what, row.got, row.want)
		}
	}
}
