//go:build integration

package generations

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// How many reloads there are under load, and how many users come in a second meanwhile.
const (
	reloads   = 50
	perSecond = 200
)

// TestNoHandshakeFailsDuringFiftyReloads has users come all the time, each with a TLS
// handshake of its own.
func TestNoHandshakeFailsDuringFiftyReloads(t *testing.T) {
	allowFiles(t, 14000)
	hosts := startHosts(t, 3)
	b := startBalancer(t, hosts, "")
	b.run("")
	reload := func() time.Duration {
		begin := time.Now()
		b.mustCtl("reload")
		return time.Since(begin)
	}
	whileIdle(t, "lb", b.cmd.Process.Pid, 2, reload)
	open := openMany(t, b.address, "t", 50)
	underLoad(t, "lb", b.ask, reload)
	wantAll(t, open)
}

// TestTheSameWithHAProxy measures the reload that operators know. It fails only if HAProxy
// can't be run.
func TestTheSameWithHAProxy(t *testing.T) {
	allowFiles(t, 14000)
	hosts := startHosts(t, 3)
	b := startBalancer(t, hosts, "") // for its certificate and its address; it isn't run
	pem := read(t, b.path("ide.crt")) + read(t, b.path("ide.key"))
	b.write("ide.pem", pem)
	config := fmt.Sprintf(`
global
  stats socket %s mode 600 level admin expose-fd listeners
  maxconn 4000
defaults
  mode http
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend users
  bind %s ssl crt %s
  default_backend ide
backend ide
  balance url_param token
  hash-type consistent
`, b.path("stats.sock"), b.address, b.path("ide.pem"))
	for _, h := range hosts {
		config += fmt.Sprintf("  server %s %s check\n", h.name, h.address)
	}
	b.write("haproxy.cfg", config)
	haproxy := exec.Command("haproxy", "-W", "-S", b.path("master.sock"), "-f", b.path("haproxy.cfg"))
	log, err := os.Create(b.path("haproxy.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	haproxy.Stdout, haproxy.Stderr = log, log
	if err := haproxy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = haproxy.Process.Signal(syscall.SIGTERM)
		_ = haproxy.Wait()
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(read(t, b.path("haproxy.log")))
		}
	})
	b.eventually("HAProxy serves", func() bool { return b.ask("x") == nil })
	reload := func() time.Duration {
		done := func(what string) int { return strings.Count(read(t, b.path("haproxy.log")), what) }
		begun, loaded := done("Reloading HAProxy"), done("Loading success")
		var begin time.Time
		b.eventually("HAProxy has heard the signal", func() bool { // right after a reload, its master loses some
			begin = time.Now()
			_ = haproxy.Process.Signal(syscall.SIGUSR2)
			for range 20 {
				if done("Reloading HAProxy") > begun {
					return true
				}
				time.Sleep(10 * time.Millisecond)
			}
			return false
		})
		b.eventually("HAProxy has reloaded", func() bool { return done("Loading success") > loaded })
		return time.Since(begin)
	}
	whileIdle(t, "HAProxy", haproxy.Process.Pid, 2, reload)
	open := openMany(t, b.address, "t", 50)
	underLoad(t, "HAProxy", b.ask, reload)
	cut := 0
	for _, one := range open {
		if one.echoes() != nil {
			cut++
		}
	}
	t.Logf("HAProxy cut %d of %d terminals", cut, len(open))
}

// underLoad makes the reloads while users come, logs what they took, and wants no failure.
func underLoad(t *testing.T, name string, ask func(token string) error, reload func() time.Duration) {
	t.Helper()
	stop := make(chan struct{})
	var users, coming sync.WaitGroup
	var asked, failed atomic.Int64
	var slowest atomic.Int64
	var first atomic.Value
	coming.Go(func() {
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			n := asked.Add(1)
			users.Go(func() {
				begin := time.Now()
				if err := ask(fmt.Sprint(n)); err != nil {
					failed.Add(1)
					first.CompareAndSwap(nil, err)
				}
				took := time.Since(begin).Nanoseconds()
				for old := slowest.Load(); took > old && !slowest.CompareAndSwap(old, took); old = slowest.Load() {
				}
			})
		}
	})
	var total time.Duration
	begin := time.Now()
	for range reloads {
		total += reload()
	}
	took := time.Since(begin)
	close(stop)
	coming.Wait()
	users.Wait()
	t.Logf("%s: %d reloads, %v each; %d users in %v, %d failed, the slowest answer took %v", name, reloads, (total / reloads).Round(time.Millisecond),
		asked.Load(), took.Round(time.Second), failed.Load(), time.Duration(slowest.Load()).Round(time.Millisecond))
	if n := failed.Load(); n > 0 && name == "lb" {
		t.Errorf("%d of %d users failed: %v", n, asked.Load(), first.Load())
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
