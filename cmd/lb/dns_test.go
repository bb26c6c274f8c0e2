package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"tokenring/testlog"
)

// TestAServerOfNamesIsWatched runs the example of docs/dns.md, whose region us serves and whose
// region eu doesn't, and looks at it as operators do.
func TestAServerOfNamesIsWatched(t *testing.T) {
	t.Parallel()
	file, ip := dnsExample(t)
	us, err := net.Listen("tcp", ip.us+":18080") // a probe connects, and that is enough
	if err != nil {
		t.Fatal(err)
	}
	defer us.Close()
	if got := runProgram(t.Context(), t, "check", "-c", file); got.code != exitOK || !strings.Contains(got.out, "ok: server of names ns-1, zone gslb.test, 2 region(s), 1 service(s)") {
		t.Fatalf("lb check: %+v", got)
	}
	if got := runProgram(t.Context(), t, "run", "-c", file); got.code != exitUsage || !strings.Contains(got.errOut, `"lb dns" runs`) {
		t.Errorf("lb run: %+v", got)
	}
	var out, errOut testlog.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"dns", "-c", file}, eofReader{}, &out, &errOut) }()
	answer := firstAnswer(t, ip.own+":15354", ended)
	if len(answer.Answer) != 1 || answer.Answer[0].(*dns.A).A.String() != ip.us {
		t.Errorf("%v", answer)
	}
	for _, c := range []struct {
		args string
		want string // a pattern
		code int
	}{
		{"dns", `(?s)zone +gslb\.test\..*www\.gslb\.test\. +us, eu.*\neu +obey +no +` + regexp.QuoteMeta(ip.eu) + ` +obey +down +\d.*refused.*\nus +obey +yes +` + regexp.QuoteMeta(ip.us) + ` +obey +up`, exitOK},
		{"dns explain www --from 192.0.2.9", `(?s)network +192\.0\.2\.0/24\n.*regions +eu\n.*region +us\nwhy +eu doesn't serve, and this is its failover\n.*TTL +60 s`, exitOK},
		{"dns explain www.gslb.test --from 10.0.0.1", `(?s)regions +us, eu\nregion +us\nwhy +the network's first region`, exitOK},
		{"dns explain nope --from 10.0.0.1", `no service has this name`, exitFailed},
		{"dns explain www --from here", `from is no IP address`, exitFailed},
		{"dns explain www", `--from`, exitUsage},
		{"hosts", `nothing at this path`, exitFailed},
	} {
		got := runProgram(t.Context(), t, append([]string{"ctl", "-c", file}, strings.Fields(c.args)...)...)
		if got.code != c.code || !regexp.MustCompile(c.want).MatchString(got.out+got.errOut) {
			t.Errorf("lb ctl %s: %+v", c.args, got)
		}
	}
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("lb dns exits with %d: %s", code, errOut.String())
	}
}

// addresses are those of one test.
type addresses struct{ own, eu, us string }

// dnsExample writes the configuration that docs/dns.md shows, at addresses of its own.
func dnsExample(t *testing.T) (file string, ip addresses) {
	t.Helper()
	b, err := os.ReadFile("../../docs/dns.md")
	if err != nil {
		t.Fatal(err)
	}
	ip = addresses{ownLoopback(), ownLoopback(), ownLoopback()}
	text := fence.FindStringSubmatch(string(b))[2]
	text = onAddress(ip.own, "7114", "5354")(strings.NewReplacer("127.0.0.11", ip.eu, "127.0.0.12", ip.us, "port: 8080", "port: 18080").Replace(text))
	file = filepath.Join(t.TempDir(), "lb.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, ip
}

// firstAnswer asks a server that is starting until it answers.
func firstAnswer(t *testing.T, at string, ended <-chan int) *dns.Msg {
	t.Helper()
	client := dns.Client{Timeout: time.Second}
	m := new(dns.Msg)
	m.SetQuestion("www.gslb.test.", dns.TypeA)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		select {
		case code := <-ended:
			t.Fatalf("lb dns exits with %d", code)
		case <-time.After(20 * time.Millisecond):
		}
		if answer, _, err := client.Exchange(m, at); err == nil {
			return answer
		}
	}
	t.Fatal("no answer")
	return nil
}

func TestABalancersFileIsNoServersOfNames(t *testing.T) {
	got := runProgram(t.Context(), t, "dns", "-c", "../../testdata/config/examples/minimal.yaml")
	if got.code != exitUsage || !strings.Contains(got.errOut, "has no section gslb") {
		t.Errorf("%+v", got)
	}
}
