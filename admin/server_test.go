package admin

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// start serves s on loopback. stop ends it and returns what Serve returned.
func start(t *testing.T, s *Server) (url string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	return "http://" + ln.Addr().String(), func() error {
		cancel()
		select {
		case err := <-served:
			return err
		case <-time.After(time.Minute):
			t.Fatal("Serve doesn't return")
			return nil
		}
	}
}

func TestServeEndsOpenStreams(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	url, stop := start(t, s)
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	client := &http.Client{Transport: new(http.Transport)}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || line != "event: overview\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	if err := stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if len(s.streams) != 0 {
		t.Error("Serve returned with a stream open")
	}
}

func TestServeSaysWhyItEndsByItself(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := newServer(t, newRegion(), io.Discard).Serve(t.Context(), ln); err == nil || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("got %v, want an error that names the address", err)
	}
}

func TestABrowserThatIsntSignedInGetsTheForm(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	stranger := send(s, "GET", "/", "").Body.String()
	if !strings.Contains(stranger, `id="signin"`) || strings.Contains(stranger, "ide-1") || strings.Contains(stranger, `id="hosts"`) {
		t.Errorf("a stranger gets %s", stranger)
	}
	if page := send(s, "GET", "/", "", signedIn(t, s)...).Body.String(); !strings.Contains(page, `id="hosts"`) {
		t.Errorf("who is signed in gets %s", page)
	}
}

// The content policy forbids what is inline; a browser would drop it silently.
func TestPagesHaveNothingInline(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(?:>|[^>]*[^>]>[^<])|javascript:|https?://`)
	s := newServer(t, newRegion(), io.Discard)
	for _, fields := range [][]string{nil, signedIn(t, s)} {
		page := send(s, "GET", "/", "", fields...).Body.String()
		if found := inline.FindString(page); found != "" {
			t.Errorf("the page has %q", found)
		}
		for _, ref := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			if w := send(s, "GET", ref[1], ""); w.Code != http.StatusOK || w.Body.Len() == 0 {
				t.Errorf("%s: got %d", ref[1], w.Code)
			}
		}
	}
}

func TestAssetsAreTheFilesOfTheWebFolder(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	files, err := fs.ReadDir(web, "web")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		want := http.StatusOK
		if strings.HasSuffix(f.Name(), ".html") {
			want = http.StatusNotFound // templates aren't pages
		}
		if w := send(s, "GET", "/assets/"+f.Name(), ""); w.Code != want {
			t.Errorf("%s: got %d, want %d", f.Name(), w.Code, want)
		}
	}
	for _, path := range []string{"/assets/", "/assets/none.js", "/assets/..%2f..%2fserver.js"} {
		if w := send(s, "GET", path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, w.Code)
		}
	}
}
