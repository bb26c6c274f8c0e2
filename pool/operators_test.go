package pool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

// addB is the edit that adds the host b.
func addB() route.HostEdit {
	return route.HostEdit{Action: route.AddHost, Name: "b", Address: "10.0.0.2:80", Zone: new("z"), Reason: "more users", By: "eva"}
}

// keeping returns the options of a Pool that keeps its state in dir.
func keeping(dir string) Options {
	o := quiet()
	o.StateDir = dir
	return o
}

func TestOperatorsHostsAreKeptOnDisk(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), keeping(dir))
		l.see(route.Up, "a")
		if err := l.EditHosts(t.Context(), addB()); err != nil {
			t.Fatal(err)
		}
		if !l.isListed("b") {
			t.Error("gossip isn't told that b is listed")
		}
		l.see(route.Up, "b")
		l.wantRing("a b", "an operator has added b")
		l.stop()
		if err := l.EditHosts(t.Context(), addB()); !errors.Is(err, ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
	})
	if got := content(t, dir, hostlist.FileName); jsonAt(t, got, "hosts", 0, "address") != "10.0.0.2:80" || jsonAt(t, got, "hosts", 0, "listed_by", "by") != "eva" {
		t.Errorf("on disk: %s", got)
	}
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), keeping(dir))
		defer l.stop()
		h := l.Snapshot().Host("b")
		if h == nil || h.Origin != route.OriginOperator || h.Zone != "z" || h.ListedBy.By != "eva" || h.ListedBy.Reason != "more users" || h.ListedBy.Since.IsZero() {
			t.Fatalf("after a restart: %+v", h)
		}
		l.see(route.Up, "a", "b")
		l.wantRing("a b", "after a restart")
		if err := l.EditHosts(t.Context(), route.HostEdit{Action: route.RemoveHost, Name: "b"}); err != nil {
			t.Fatal(err)
		}
		l.wantRing("a", "it is removed")
	})
	if got := content(t, dir, hostlist.FileName); got != `{"version":1,"hosts":[]}` {
		t.Errorf("on disk: %s", got)
	}
}

func TestOperatorsHostsNeedNoDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), quiet())
		defer l.stop()
		if err := l.EditHosts(t.Context(), addB()); err != nil || l.Snapshot().Host("b") == nil {
			t.Errorf("%v, %+v", err, l.Snapshot().Host("b"))
		}
	})
}

// TestWhatALaterVersionWroteOfHostsIsKept: of the file, of a host, and hosts that this
// version can't have.
func TestWhatALaterVersionWroteOfHostsIsKept(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, hostlist.FileName, `{"version":1,"hosts":[
	 {"name":"b","address":"10.0.0.2:80","weight":2,"listed_by":{"by":"eva","since":"2026-01-02T03:04:05Z"},"tags":["new"]},
	 {"name":"c","address":"unix:/run/c","listed_by":{"by":"eva","since":"2026-01-02T03:04:05Z"}}],"groups":[1]}`)
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), keeping(dir))
		defer l.stop()
		if s := l.Snapshot(); s.Host("b") == nil || s.Host("c") != nil || !strings.Contains(s.Alarm, `hosts.json holds what this version of lb doesn't understand ("groups", 1 of "hosts")`) {
			t.Errorf("hosts %+v, %+v; alarm %q", s.Host("b"), s.Host("c"), s.Alarm)
		}
		if err := l.EditHosts(t.Context(), route.HostEdit{Action: route.SetHost, Name: "b", Weight: new(3)}); err != nil {
			t.Fatal(err)
		}
	})
	got := content(t, dir, hostlist.FileName)
	for _, want := range []string{`"weight":3`, `"tags":["new"]`, `"unix:/run/c"`, `"groups":[1]`} {
		if !strings.Contains(got, want) {
			t.Errorf("on disk: %s; want %s in it", got, want)
		}
	}
}

func TestABrokenFileOfHostsIsPutAside(t *testing.T) {
	for what, text := range map[string]string{
		"cut short":     `{"version":1,"hosts":[{"na`,
		"no version":    `{"hosts":[]}`,
		"no list":       `{"version":1,"hosts":{}}`,
		"empty":         ``,
		"later version": `{"version":2,"hosts":[{"name":"b","address":"10.0.0.2:80","listed_by":{"by":"eva","since":"2026-01-02T03:04:05Z"}}]}`,
	} {
		dir := t.TempDir()
		put(t, dir, hostlist.FileName, text)
		aside := hostlist.FileName + ".corrupt"
		if what == "later version" {
			aside = hostlist.FileName + ".version-2"
		}
		synctest.Test(t, func(t *testing.T) {
			l := live(t, statics("a"), keeping(dir))
			defer l.stop()
			if got := l.Snapshot(); !strings.Contains(got.Alarm, aside) || (got.Host("b") != nil) != (what == "later version") {
				t.Errorf("%s: alarm %q, host %+v", what, got.Alarm, got.Host("b"))
			}
			if err := l.EditHosts(t.Context(), route.HostEdit{Action: route.AddHost, Name: "d", Address: "10.0.0.4:80"}); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
		if got := content(t, dir, aside); got != text {
			t.Errorf("%s: what was put aside is %q", what, got)
		}
	}
}

func TestABalancerDoesNotStartWithoutTheHostsThatItCannotRead(t *testing.T) {
	for _, begin := range []chan struct{}{nil, make(chan struct{})} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, hostlist.FileName), 0o700); err != nil {
			t.Fatal(err)
		}
		o := keeping(dir)
		o.Name, o.Hash, o.Begin = "lb-1", small, begin
		p, err := New(statics("a"), gossip.Config{}, o)
		if err == nil && begin != nil { // it is read at Begin
			close(begin)
			err = p.Run(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), hostlist.FileName) {
			t.Errorf("got %v", err)
		}
	}
}

// TestOperatorsHostsStayWhenAnotherProcessTakesThePlaceOfABalancer: also one that is added
// after the other process has got its first state, and what is on disk.
func TestOperatorsHostsStayWhenAnotherProcessTakesThePlaceOfABalancer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg, o := statics("a"), Options{Name: "lb-1", Hash: small, Logger: zerolog.Nop(), StateDir: dir}
	old := startProcess(t, cfg, gossip.Config{}, o)
	add := func(p *process, name, address string) {
		t.Helper()
		if err := p.EditHosts(t.Context(), route.HostEdit{Action: route.AddHost, Name: name, Address: address, By: "eva"}); err != nil {
			t.Fatal(err)
		}
		p.checked(name, route.Up, "", time.Now())
		eventually(t, name+" is in the ring", func() bool { h := p.Snapshot().Host(name); return h.InRing && !p.Snapshot().Rebuilding })
	}
	old.checked("a", route.Up, "", time.Now())
	add(old, "b", "10.0.0.2:80")
	old.getsReady()
	first, begin := old.state(), make(chan struct{})
	o.Handed, o.Begin = &first, begin
	next := startProcess(t, cfg, gossip.Config{}, o)
	next.getsReady()
	if got, want := next.Snapshot().Table.Digest(), old.Snapshot().Table.Digest(); got != want {
		t.Errorf("the ring of the new process is %s, want %s", got, want)
	}
	if err := next.EditHosts(t.Context(), addB()); !errors.Is(err, errNotBegun) {
		t.Errorf("an edit before Begin: %v", err)
	}
	add(old, "c", "10.0.0.3:80")
	want := old.Snapshot().Table.Digest()
	old.end(ErrRetired)
	if err := next.Update(t.Context(), old.state()); err != nil {
		t.Fatal(err)
	}
	close(begin)
	add(next, "d", "10.0.0.4:80")
	if err := next.EditHosts(t.Context(), route.HostEdit{Action: route.RemoveHost, Name: "d"}); err != nil {
		t.Fatal(err)
	}
	if s := next.Snapshot(); s.Table.Digest() != want || s.Host("c").ListedBy.By != "eva" {
		t.Errorf("the ring is %s, want %s; host %+v", s.Table.Digest(), want, s.Host("c"))
	}
	if hosts, _, err := hostlist.Parse([]byte(content(t, dir, hostlist.FileName))); err != nil || len(hosts) != 2 || hosts[0].Name != "b" || hosts[1].Name != "c" {
		t.Errorf("on disk: %+v, %v", hosts, err)
	}
	next.end(nil)
	for _, p := range []*process{old, next} {
		if err := <-p.ended; err != nil {
			t.Error(err)
		}
	}
}

// TestHostsOnDiskCountAfterACrash: what another process has handed over is older.
func TestHostsOnDiskCountAfterACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg, o := statics("a"), Options{Name: "lb-1", Hash: small, Logger: zerolog.Nop(), StateDir: dir}
	s := stateOf(t, cfg, o)
	put(t, dir, hostlist.FileName, `{"version":1,"hosts":[{"name":"b","address":"10.0.0.2:80","weight":1,"listed_by":{"by":"eva","since":"2026-01-02T03:04:05Z"}}]}`)
	o.Handed = &s
	p := startProcess(t, cfg, gossip.Config{}, o)
	eventually(t, "b is listed", func() bool { return p.Snapshot().Host("b") != nil })
	p.end(nil)
	<-p.ended
}
