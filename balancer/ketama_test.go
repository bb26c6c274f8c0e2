package balancer

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryAnswerOfARealNginxIsReproduced(t *testing.T) {
	var file struct {
		Tokens    []string
		Upstreams []struct {
			Servers []struct {
				Name   string
				Weight int
			}
			Answers []string
		}
	}
	readVectors(t, "ketama-nginx.json", &file)
	answers := 0
	for _, u := range file.Upstreams {
		var hosts []Host
		for _, s := range u.Servers {
			hosts = append(hosts, Host{Name: s.Name, Weight: s.Weight})
		}
		table := build(t, Config{Policy: PolicyKetama}, hosts...)
		written := slices.Clone(hosts) // as lb.yaml has them, whose names have no colon
		for i := range written {
			written[i].Name = strings.Replace(written[i].Name, ":", "_", 1)
		}
		named := build(t, Config{Policy: PolicyKetama, Ketama: KetamaConfig{Names: KetamaNamesHostPort}}, written...)
		for i, want := range u.Answers {
			answers++
			if got := table.Hosts()[table.Owner([]byte(file.Tokens[i]))].Name; got != want {
				t.Errorf("%d servers, %s: got %s, want %s", len(hosts), file.Tokens[i], got, want)
			}
			want = strings.Replace(want, ":", "_", 1)
			if got := named.Hosts()[named.Owner([]byte(file.Tokens[i]))].Name; got != want {
				t.Errorf("names with ports, %d servers, %s: got %s, want %s", len(hosts), file.Tokens[i], got, want)
			}
		}
	}
	if answers != 600 {
		t.Errorf("got %d answers, want 600", answers)
	}
}

func TestPointsAreOfTheNameThePortAndThePointBefore(t *testing.T) {
	// The CRC-32 of "ide\x00" and of "ide\x004000", each with four zero bytes behind.
	for name, same := range map[string]bool{"ide": false, "ide:4000": true, "ide:x": false, "ide:4000x": false} {
		points := appendKetama(nil, 0, Host{Name: name, Weight: 1}, 2, ':')
		want := appendKetama(nil, 0, Host{Name: "ide:4000", Weight: 1}, 2, ':')
		if got := slices.Equal(points, want); got != same {
			t.Errorf("%s: the points are those of ide:4000: %v, want %v", name, got, same)
		}
	}
}

func TestMorePointsThanARingHoldsAreRefused(t *testing.T) {
	heavy := fleet(300)
	for i := range heavy {
		heavy[i].Weight = 256
	}
	for policy, want := range map[string]string{
		PolicyKetama:  "build ketama table: the weights add up to 76800, which makes 12288000 points; at most 1048576 are possible",
		PolicyHAProxy: "build haproxy table: the weights add up to 76800, which makes 1228800 points; at most 1048576 are possible",
	} {
		if _, err := newBuilder(t, Config{Policy: policy}).Build(heavy); errorText(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	many := fleet(3000)
	for i := range many {
		many[i].Weight = 3 + i%2
	}
	_, err := newBuilder(t, Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Type: HAProxyMapBased}}).Build(many)
	if !strings.Contains(errorText(err), "3000 hosts with weights that add up to 10500") {
		t.Errorf("a map that is too large: got %v, want an error", err)
	}
	if _, err := newBuilder(t, Config{Policy: PolicyMaglev, Maglev: MaglevConfig{Slots: 2}}).Build(fleet(3)); !strings.Contains(errorText(err), "3 hosts; at most 2") {
		t.Errorf("maglev: got %v, want an error", err)
	}
	if _, err := newBuilder(t, Config{Policy: PolicyRendezvous}).Build(fleet(4097)); !strings.Contains(errorText(err), "at most 4096") {
		t.Errorf("4097 hosts: got %v, want an error", err)
	}
}
