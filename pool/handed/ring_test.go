package handed

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestARingSurvivesOnDisk(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	hosts := []RingHost{{Name: "a", Address: "10.0.0.1:80", ID: 7}, {Name: "b", Address: "b.internal:80", FailingSince: now.Add(-time.Minute)}}
	frozen := Ring{Hosts: hosts}
	frozen.Freeze.Frozen, frozen.Freeze.WithPeer, frozen.Freeze.Since = true, true, now.Add(-time.Minute)
	frozen.Freeze.NoticeHosts = []string{"b"}

	got := DecodeRing(frozen.Encode(), 2*time.Minute, now)
	want := frozen
	want.Freeze.Until = now.Add(time.Minute)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	over := DecodeRing(frozen.Encode(), time.Minute, now).Freeze
	if over.Frozen || !over.Expired.Equal(now) || !over.IgnoredUntil.Equal(frozen.Freeze.Since) {
		t.Errorf("a freeze that is over: got %+v", over)
	}
	early := DecodeRing(frozen.Encode(), time.Minute, now.Add(-time.Hour))
	if !early.Freeze.Since.Equal(now.Add(-time.Hour)) || early.Hosts[1].FailingSince.After(now.Add(-time.Hour)) {
		t.Errorf("the clock was set back: got %+v", early)
	}
	noise := append([]json.RawMessage{[]byte(`{"later":1}`), []byte(`17`)}, Ring{Hosts: hosts}.Encode()...)
	if got := DecodeRing(noise, time.Minute, now); !reflect.DeepEqual(got, Ring{Hosts: hosts}) {
		t.Errorf("beside what isn't understood: got %+v", got)
	}
	for _, row := range []struct {
		name, address string
		id            uint32
		want          bool
	}{{"a", "10.0.0.1:80", 7, true}, {"a", "10.0.0.2:80", 7, false}, {"a", "10.0.0.1:80", 8, false}, {"c", "10.0.0.1:80", 7, false}} {
		if _, got := frozen.Host(row.name, row.address, row.id); got != row.want {
			t.Errorf("%+v: got %v", row, got)
		}
	}
}
