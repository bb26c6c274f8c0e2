package main

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tokenring/tlsterm"
)

// TestAnotherServerGetsNoAdminToken, on loopback, either: another program may have
// taken the port of a tunnel there.
func TestAnotherServerGetsNoAdminToken(t *testing.T) {
	var asked atomic.Int32
	other := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1) }))
	other.Config.ErrorLog = log.New(io.Discard, "", 0)
	other.StartTLS()
	defer other.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(adminSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, _, err := tlsterm.SelfSigned("lb-1.internal")
	if err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(named, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(other.Listener.Addr().String())
	for _, row := range []struct {
		address string
		more    []string
		code    int
		want    string
		asked   int32
	}{
		{"https://127.0.0.1:" + port, []string{"--ca", named}, exitFailed, "name its certificate", 0},
		{"localhost:" + port, []string{"--ca", named}, exitFailed, "name its certificate", 0},
		{"http://127.0.0.1:" + port, []string{"--ca", named}, exitUsage, "has no TLS", 0},
		{"https://127.0.0.1:" + port, nil, exitFailed, "not like an admin endpoint", 1}, // as unencrypted
	} {
		asked.Store(0)
		args := append([]string{"ctl", "--address", row.address, "--token-file", token}, row.more...)
		got := runProgram(t.Context(), t, append(args, "status")...)
		if got.code != row.code || !strings.Contains(got.errOut, row.want) || asked.Load() != row.asked {
			t.Errorf("%s %v: exit %d, asked %d times, %s; want %d, %d, %q", row.address, row.more, got.code, asked.Load(), got.errOut, row.code, row.asked, row.want)
		}
	}
}

// TestOperatorsReachAnEndpointThatSpeaksTLS, also when its certificate's file is gone.
func TestOperatorsReachAnEndpointThatSpeaksTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certPEM, keyPEM, err := tlsterm.SelfSigned("lb-1.internal")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"admin.crt": certPEM, "admin.key": keyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, stop, err := serveRegion(dir, "tls: {cert: admin.crt, key: admin.key}")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	file := filepath.Join(dir, "lb.yaml")
	status := func() output { return runProgram(t.Context(), t, "ctl", "-c", file, "status") }
	if got := status(); got.code != exitOK || !strings.Contains(got.out, "certificate  lb-1.internal: until ") {
		t.Errorf("exit %d, %s%s", got.code, got.out, got.errOut)
	}
	renewed, renewedKey, err := tlsterm.SelfSigned("lb-1.internal", "lb-1.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "admin.crt"), renewed, 0o600), os.WriteFile(filepath.Join(dir, "admin.key"), renewedKey, 0o600)); err != nil {
		t.Fatal(err)
	}
	for wait := time.Now().Add(time.Minute); !strings.Contains(status().out, "lb-1.example.com"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(wait) {
			t.Fatal("the endpoint's certificate isn't read again")
		}
	}
	if err := os.Remove(filepath.Join(dir, "admin.crt")); err != nil {
		t.Fatal(err)
	}
	if got := status(); got.code != exitOK {
		t.Errorf("without the certificate's file: exit %d, %s", got.code, got.errOut)
	}
}

// TestCtlReadsOnlyWhatItNeeds: lb ctl must work also if the rest of the
// configuration file, or a file that it names, is wrong.
func TestCtlReadsOnlyWhatItNeeds(t *testing.T) {
	dir := t.TempDir()
	_, stop, err := serveRegion(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	file := filepath.Join(dir, "lb.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "tls: {certificates: [{cert: gone.crt, key: gone.key}]}\nlistne: 7\n"...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runProgram(t.Context(), t, "check", "-c", file); got.code != exitUsage {
		t.Fatalf("the file isn't wrong: %s", got.out)
	}
	if got := runProgram(t.Context(), t, "ctl", "-c", file, "hosts"); got.code != exitOK || !strings.Contains(got.out, "ide-1") {
		t.Errorf("exit %d, %s%s", got.code, got.out, got.errOut)
	}
}

func TestTheWrongSchemeIsNamed(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	plain, secured := httptest.NewServer(answer), httptest.NewUnstartedServer(answer)
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	secured.StartTLS()
	defer plain.Close()
	defer secured.Close()
	for address, want := range map[string]string{
		strings.Replace(plain.URL, "http:", "https:", 1):   "speaks no TLS; write http://",
		strings.Replace(secured.URL, "https:", "http:", 1): "speaks TLS; write https://",
	} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(adminSecret), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := runProgram(t.Context(), t, "ctl", "--address", address, "--token-file", file, "status"); got.code != exitFailed || !strings.Contains(got.errOut, want) {
			t.Errorf("%s: exit %d, %s; want %q", address, got.code, got.errOut, want)
		}
	}
	if got := runProgram(t.Context(), t, "ctl", "--address", plain.URL, "--token-file", "none", "--ca", "none", "status"); got.code != exitUsage {
		t.Errorf("no such files: exit %d", got.code)
	}
}
