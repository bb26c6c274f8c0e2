package pool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/gossip"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

// A hostsFile is a file of a test with a host in each line: its name and its address.
type hostsFile struct {
	t    *testing.T
	path string
}

func newHostsFile(t *testing.T, text string) hostsFile {
	f := hostsFile{t, filepath.Join(t.TempDir(), "hosts")}
	f.put(text)
	return f
}

// put moves another file into place.
func (f hostsFile) put(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path+".next", []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(f.path+".next", f.path); err != nil {
		f.t.Fatal(err)
	}
}

func (f hostsFile) read() (all []hostlist.Host, err error) {
	text, err := os.ReadFile(f.path)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 2 {
			return nil, errors.New("a line without an address")
		}
		all = append(all, hostlist.Host{Spec: route.Spec{Name: words[0], Address: words[1], Weight: 1}})
	}
	return all, err
}

// options returns the options of a Pool with the file, and its configuration.
func (f hostsFile) options(cfg Config) (Config, Options) {
	cfg.HostsFile = f.path
	o := quiet()
	o.ReadHosts = f.read
	return cfg, o
}

// fileDelay is how long a change of a file takes to be in force.
const fileDelay = 2*time.Second + time.Second

func TestAHostsFileTakesEffectWithoutARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newHostsFile(t, "b 10.0.0.2:80\n")
		cfg, o := f.options(statics("a"))
		l := live(t, cfg, o)
		defer l.stop()
		l.see(route.Up, "a", "b")
		l.wantRing("a b", "the file at the start")
		if got := l.Snapshot().Host("b").Origin; got != route.OriginFile {
			t.Errorf("got the origin %v", got)
		}
		f.put("b 10.0.0.2:80\nc 10.0.0.3:80\n")
		l.pass(fileDelay)
		l.see(route.Up, "c")
		l.wantRing("a b c", "a host has come into the file")
		f.put("c\n")
		l.pass(fileDelay)
		l.wantRing("a b c", "the file can't be used")
		if s := l.Snapshot(); !strings.Contains(s.Alarm, "pool.hosts_file") || l.WatchedFiles()["pool.hosts_file"] == "" {
			t.Errorf("no alarm: %q, %q", s.Alarm, l.WatchedFiles())
		}
		f.put("c 10.0.0.3:80\n")
		l.pass(fileDelay)
		l.wantRing("a c", "a host is no longer in the file")
		if s := l.Snapshot(); s.Alarm != "" || l.WatchedFiles()["pool.hosts_file"] != "" {
			t.Errorf("the alarm stays: %q, %q", s.Alarm, l.WatchedFiles())
		}
		if !l.isListed("c") || l.isListed("b") {
			t.Error("gossip isn't told which hosts are listed")
		}
	})
}

func TestNamesInAHostsFileAreLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.set("b.internal", "10.0.0.2")
		dns.set("new-b.internal", "10.0.0.9")
		f := newHostsFile(t, "")
		cfg, o := f.options(statics("a"))
		o.Lookup = dns.lookup
		l := live(t, cfg, o)
		defer l.stop()
		at := func(want, why string) {
			t.Helper()
			if h := l.Snapshot().Host("b"); h == nil || h.Address != want {
				t.Errorf("%s: got %+v, want it at %q", why, h, want)
			}
		}
		f.put("b b.internal:80\n")
		l.pass(fileDelay)
		at("10.0.0.2:80", "its name is looked up at once")
		dns.set("b.internal", "10.0.0.3")
		l.pass(lookupRound + lookupRound/10)
		at("10.0.0.3:80", "its name has another address")
		f.put("b new-b.internal:80\n")
		l.pass(fileDelay)
		at("10.0.0.9:80", "it has another name")
		f.put("b 10.0.0.4:80\n")
		l.pass(fileDelay)
		at("10.0.0.4:80", "it has an address")
		l.pass(5 * lookupRound)
		at("10.0.0.4:80", "its old name isn't looked up any more")
	})
}

func TestAHostsFileThatCannotBeUsedAtTheStart(t *testing.T) {
	f := newHostsFile(t, "b\n")
	cfg, o := f.options(statics("a"))
	o.Name, o.Hash = "lb-1", small
	if _, err := New(cfg, gossip.Config{}, o); err == nil || !strings.Contains(err.Error(), "pool.hosts_file: a line without") {
		t.Errorf("got %v", err)
	}
}

// TestAListSaysHowManyRequestsAHostMayHave, or else the pool does.
func TestAListSaysHowManyRequestsAHostMayHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := statics("a", "b")
		cfg.MaxConnections, cfg.Hosts[0].MaxConnections = 20, 5
		l := live(t, cfg, quiet())
		defer l.stop()
		l.see(route.Up, "a", "b")
		l.wantRing("a b", "both pass their checks")
		if a, b := l.Snapshot().Host("a").MaxConnections, l.Snapshot().Host("b").MaxConnections; a != 5 || b != 20 {
			t.Errorf("a may have %d requests and b %d, want 5 and 20", a, b)
		}
	})
}
