//go:build integration

package hashing

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
)

// serveHosts answers on all loopback addresses of one port, each with itself: it
// is all hosts. It returns the port.
func (p *place) serveHosts() int {
	p.t.Helper()
	ln, err := net.Listen("tcp4", ":0")
	if err != nil {
		p.t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(answerAsHost)}
	var running sync.WaitGroup
	running.Go(func() { srv.Serve(ln) })
	p.t.Cleanup(func() {
		srv.Close()
		running.Wait()
	})
	return ln.Addr().(*net.TCPAddr).Port
}

// answerAsHost answers with the host's address, and with what the host has seen of the request.
func answerAsHost(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil { // a host that answers earlier closes the connection
		return
	}
	w.Header().Set("X-Host", r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
	w.Header().Set("X-Powered-By", "a host")
	_ = json.NewEncoder(w).Encode(seen{r.Method, r.Host, r.RequestURI, r.Header})
}

// A seen is what a host has seen of a request.
type seen struct {
	Method, Host, Target string
	Fields               http.Header
}
