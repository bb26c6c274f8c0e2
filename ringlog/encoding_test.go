package ringlog

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// aLog is the JSON of a Log: the form in which another version has it.
const aLog = `[{"number":7,"at":"2026-03-01T02:30:01Z","cause":"lb-1 started",` +
	`"hosts":[{"name":"a","id":1,"weight":1,"state":"ready","check":"up","in_ring":true},` +
	`{"name":"b","id":2,"weight":2,"state":"drain","check":"down","error":"refused","why_not":"draining","since":"2026-03-01T02:00:00Z","lasts":4000000000,"back":true}],` +
	`"table":{"digest":"31a3eb1a8a3b8d22","size":1,"hosts":{"names":["a"],"ids":[1]}},` +
	`"hash":{"Key":[{"Source":"query","Name":"token"}],"Policy":"rendezvous","Seed":"","BoundedLoad":0,` +
	`"Consistent":{"Partitions":16381,"Replicas":160,"Load":1.25},"Rendezvous":{"Slots":512},"Maglev":{"Slots":65537},"Ketama":{"Points":160},` +
	`"HAProxy":{"Type":"consistent","Function":"sdbm","Avalanche":false,"HashKey":"id"}}},` +
	`{"number":8,"at":"2026-03-01T02:30:02Z","cause":"a down: refused","unknown_since":"2026-03-01T02:30:01Z","frozen":true,` +
	`"hosts":[{"name":"a","id":1,"weight":1,"state":"ready","check":"down","error":"refused","in_ring":true,"moving":true,"failed_before":true,"held":true,"serves":true}],` +
	`"gone":["b"],"until":"2026-03-01T02:40:00Z"}]`

func TestTheFormOfALogStays(t *testing.T) {
	l := new(Log)
	if err := json.Unmarshal([]byte(aLog), l); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(l)
	if err != nil || string(b) != aLog {
		t.Errorf("got %s, %v\nwant %s", b, err, aLog)
	}
	v, err := l.View(time.Date(2026, 3, 1, 2, 50, 0, 0, time.UTC))
	if err != nil || len(v.Hosts) != 1 || len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "after 2026-03-01 02:40:00 UTC isn't on disk") {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestWhatCannotBeALogIsRefused(t *testing.T) {
	for _, row := range []struct{ from, to, want string }{
		{`"number":8`, `"number":7`, "comes after"},
		{`"number":7`, `"number":0`, "no number"},
		{`"at":"2026-03-01T02:30:01Z"`, `"at":"0001-01-01T00:00:00Z"`, "no time"},
		{`"table":`, `"tables":`, "no table"},
		{`"hash":`, `"hashes":`, "no table"},
		{`"Policy":"rendezvous"`, `"Policy":"modulo"`, "no policy"},
		{`"state":"drain"`, `"state":"off"`, "no state"},
		{`"weight":2`, `"weight":257`, "not in 0..256"},
		{`"name":"b"`, `"name":"#"`, "must begin"},
		{`"lasts":4000000000`, `"lasts":1`, "slow start of"},
		{`"since":"2026-03-01T02:00:00Z"`, `"since":"9999-03-01T02:00:00Z"`, "slow start since"},
		{`a down: refused`, `a\u001b[2J`, "isn't a text"},
		{`"why_not":"draining"`, `"why_not":"\n"`, "isn't a text"},
		{`"ids":[1]`, `"ids":[1,2]`, "2 ids"},
		{`"size":1`, `"size":1,"moved":2`, "share of 2"},
		{`"digest":"31a3eb1a8a3b8d22"`, `"digest":""`, "of 1 hosts"},
	} {
		text := strings.Replace(aLog, row.from, row.to, 1)
		if err := json.Unmarshal([]byte(text), new(Log)); text == aLog || err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", row.to, err, row.want)
		}
	}
}

// FuzzLog reads what may be a log, and asks it for each of its moments.
func FuzzLog(f *testing.F) {
	f.Add([]byte(aLog))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := new(Log)
		if json.Unmarshal(b, l) != nil {
			return
		}
		l.Rings()
		l.Unmeasured(0)
		for _, e := range l.entries[:min(len(l.entries), 4)] {
			v, err := l.View(e.At)
			if err != nil {
				t.Fatal(err)
			}
			if slots := v.Hash.Rendezvous.Slots + v.Hash.Maglev.Slots + v.Hash.Consistent.Partitions; slots < 1<<18 && len(v.placed) < 50 {
				_, _ = v.Snapshot("")
			}
		}
		NewRecorder(l, "")
	})
}
