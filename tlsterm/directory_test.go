package tlsterm

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/testlog"
)

// makeDirectory writes one pair in each way in which a directory may have it, and some files of
// others.
func makeDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put := func(cert, key, name string) {
		t.Helper()
		c, k := pairPEM(t, "ecdsa", time.Time{}, name)
		for _, file := range []string{cert, key} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if cert == key {
			write(t, filepath.Join(dir, cert), append(c, k...))
			return
		}
		write(t, filepath.Join(dir, cert), c)
		write(t, filepath.Join(dir, key), k)
	}
	put("a.pem", "a.pem", "together.example")
	put("b.pem", "b.pem.key", "haproxy.example")
	put("c.crt", "c.key", "beside.example")
	put("d.pem", "d-key.pem", "mkcert.example")
	put("e.example/fullchain.pem", "e.example/privkey.pem", "certbot.example")
	put("f/tls.crt", "f/tls.key", "kubernetes.example")
	for _, other := range []string{"a.pem.ocsp", ".hidden.pem", "README", "g/readme.txt", "privkey.pem"} {
		file := filepath.Join(dir, other)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, file, []byte("not a certificate"))
	}
	return dir
}

// namesIn returns the names of all certificates of s, and the files with a problem, sorted.
func namesIn(s *Source) (names, bad []string) {
	for _, e := range s.Expiries() {
		names = append(names, e.Names...)
		if e.Problem != "" {
			bad = append(bad, filepath.Base(e.File))
		}
	}
	slices.Sort(names)
	return names, bad
}

func TestADirectoryServesEachPairByItsName(t *testing.T) {
	s := newSource(t, Config{Terms: Terms{Directory: makeDirectory(t)}})
	names, bad := namesIn(s)
	want := []string{"beside.example", "certbot.example", "haproxy.example", "kubernetes.example", "mkcert.example", "together.example"}
	if !slices.Equal(names, want) || bad != nil {
		t.Errorf("got %q and the problems %q, want %q", names, bad, want)
	}
	for _, name := range want {
		if got := seenBy(t, s, name).DNSNames[0]; got != name {
			t.Errorf("a client of %s gets %s", name, got)
		}
	}
	if got := seenBy(t, s, "unknown.example").DNSNames[0]; got != "together.example" {
		t.Errorf("a client of an unknown name gets %s, want the first by its file", got)
	}
}

// TestADirectoryIsFollowed adds, breaks, mends and removes files while they are served.
func TestADirectoryIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		newPair(t, dir, "a", "ecdsa", "a.example")
		running(t, Config{Terms: Terms{Directory: dir}}, func(s *Source, book *testlog.Buffer) {
			step := func(what, wantNames, wantBad string) {
				t.Helper()
				time.Sleep(10 * pollFiles)
				names, bad := namesIn(s)
				if strings.Join(names, " ") != wantNames || strings.Join(bad, " ") != wantBad {
					t.Errorf("%s: got %q and the problems %q, want %q and %q", what, names, bad, wantNames, wantBad)
				}
			}
			b := newPair(t, dir, "b", "ecdsa", "b.example")
			step("one comes", "a.example b.example", "")
			broken := newPair(t, dir, "c", "ecdsa", "c.example")
			write(t, broken.Key, []byte("broken"))
			step("a bad one comes", "a.example b.example", "c.crt")
			if got := strings.Count(book.String(), "can't be served"); got != 1 {
				t.Errorf("%d lines about it, want one", got)
			}
			if alarm := s.Expiries()[2].Alarm(time.Now()); !strings.HasPrefix(alarm, "certificate "+broken.Cert+": key "+broken.Key) {
				t.Errorf("the alarm is %q", alarm)
			}
			newPair(t, dir, "c", "ecdsa", "c.example")
			step("it is mended", "a.example b.example c.example", "")
			write(t, b.Key, []byte("broken"))
			step("one that is served is broken", "a.example b.example c.example", "b.crt")
			newPair(t, dir, "b", "ecdsa", "b.example")
			step("it is renewed", "a.example b.example c.example", "")
			if err := os.Remove(b.Cert); err != nil {
				t.Fatal(err)
			}
			step("one goes", "a.example c.example", "")
			if err := os.Rename(dir, dir+".away"); err != nil {
				t.Fatal(err)
			}
			step("all can't be read", "a.example c.example", filepath.Base(dir))
			if err := os.Rename(dir+".away", dir); err != nil {
				t.Fatal(err)
			}
			step("they are back", "a.example c.example", "")
		})
	})
}

func TestADirectoryWithoutCertificatesIsAnError(t *testing.T) {
	dir := t.TempDir()
	if _, err := New(Config{Terms: Terms{Directory: dir}}, nop); err == nil || !strings.Contains(err.Error(), "none that can be served") {
		t.Errorf("empty: got %v", err)
	}
	write(t, filepath.Join(dir, "a.pem"), []byte("nothing"))
	if _, err := New(Config{Terms: Terms{Directory: dir}}, nop); err == nil || !strings.Contains(err.Error(), "a.pem: no certificate in the file") {
		t.Errorf("a bad one: got %v", err)
	}
	if _, err := New(Config{Terms: Terms{Directory: filepath.Join(dir, "gone")}}, nop); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("none: got %v", err)
	}
	newSource(t, Config{Terms: Terms{Directory: dir, Certificates: []Pair{newPair(t, t.TempDir(), "b", "ecdsa", "b.example")}}})
}

func TestStrictSNIRefusesOtherNames(t *testing.T) {
	p := newPair(t, t.TempDir(), "a", "ecdsa", "a.example", "*.b.example")
	for name, want := range map[string][2]bool{ // without it and with it
		"a.example": {true, true}, "x.b.example": {true, true}, "c.example": {true, false}, "b.example": {true, false}, "": {true, false},
	} {
		for i, strict := range []bool{false, true} {
			s := newSource(t, Config{Terms: Terms{Certificates: []Pair{p}, StrictSNI: strict}})
			_, err := shake(s.TLSConfig(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if (err == nil) != want[i] {
				t.Errorf("%q with strict_sni %v: %v", name, strict, err)
			}
			if err != nil && !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("%q: the client gets %v", name, err)
			}
		}
	}
}

// TestADirectoryThatIsBeingReplacedLosesNothing has one scan meet the directory while its files are
// away; the next one finds others there.
func TestADirectoryThatIsBeingReplacedLosesNothing(t *testing.T) {
	dir := t.TempDir()
	p := newPair(t, dir, "a", "ecdsa", "a.example")
	s := newSource(t, Config{Terms: Terms{Directory: dir}})
	for i, step := range []struct {
		away bool
		want string
	}{{true, "a.example"}, {false, "a.example"}, {true, "a.example"}, {true, ""}, {true, ""}, {false, "a.example"}} {
		if step.away {
			if err := os.Remove(p.Cert); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		} else {
			newPair(t, dir, "a", "ecdsa", "a.example")
		}
		s.reload()
		if names, bad := namesIn(s); strings.Join(names, " ") != step.want || bad != nil {
			t.Errorf("scan %d: got %q and the problems %q, want %q", i, names, bad, step.want)
		}
	}
}
