package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	maxBlob   = 64 << 20 // bytes
	maxSlow   = 60_000   // milliseconds
	maxUpload = 1 << 30  // bytes
)

func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

// whoami answers with the host's name, and with the fields that the balancer added to the
// request.
func (h *Host) whoami(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{
		"host":            h.cfg.Name,
		"request_id":      r.Header.Get("X-Request-Id"),
		"forwarded_for":   r.Header.Get("X-Forwarded-For"),
		"forwarded_proto": r.Header.Get("X-Forwarded-Proto"),
		"forwarded_host":  r.Header.Get("X-Forwarded-Host"),
	})
}

// blob answers with the number of bytes in the parameter bytes: the letters from a to z,
// repeated.
func blob(w http.ResponseWriter, r *http.Request) {
	left, ok := number(w, r, "bytes", maxBlob)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(left))
	if r.Method == http.MethodHead {
		return
	}
	letters := make([]byte, 26*1260) // about 32 KB
	for i := range letters {
		letters[i] = 'a' + byte(i%26)
	}
	for left > 0 {
		n, err := w.Write(letters[:min(left, len(letters))])
		if left -= n; err != nil {
			return
		}
	}
}

// slow answers after the number of milliseconds in the parameter ms.
func (h *Host) slow(w http.ResponseWriter, r *http.Request) {
	ms, ok := number(w, r, "ms", maxSlow)
	if !ok {
		return
	}
	wait := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer wait.Stop()
	select {
	case <-wait.C:
		writeJSON(w, http.StatusOK, map[string]any{"host": h.cfg.Name, "ms": ms})
	case <-r.Context().Done():
	}
}

// upload answers with the number of bytes in the request's body, and their SHA-256.
func (h *Host) upload(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		http.Error(w, "the body is incomplete or too large", http.StatusBadRequest)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"host": h.cfg.Name, "bytes": n, "sha256": hex.EncodeToString(sum.Sum(nil))})
}

// number reads a parameter from 0 to limit, or answers 400.
func number(w http.ResponseWriter, r *http.Request, name string, limit int) (int, bool) {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || n < 0 || n > limit {
		http.Error(w, name+" must be a number from 0 to "+strconv.Itoa(limit), http.StatusBadRequest)
		return 0, false
	}
	return n, true
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only when the client has gone
}
