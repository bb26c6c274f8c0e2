package host

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/chaos/record"
)

func TestAHostRecordsWhatItServes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ln, err := net.Listen("tcp", "127.0.0.2:0") // no other test is given its port
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	file := filepath.Join(t.TempDir(), "record")
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, Config{Name: "ide-1", Address: address, Record: file}) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	until(t, func() bool { _, err := get(address, HealthPath); return err == nil })

	ws, _, err := websocket.Dial(ctx, "ws://"+address+TerminalPath+"?token=a", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if err := ws.Write(ctx, websocket.MessageText, []byte("7")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := ws.Read(ctx); err != nil || string(text) != "7 ide-1" {
		t.Errorf("the terminal says %q, %v", text, err)
	}
	if text, err := get(address, RequestPath+"?ms=1&token=b"); err != nil || text != "ide-1" {
		t.Errorf("the request is answered with %q, %v", text, err)
	}
	var served []record.Serving
	has := func(token string, terminal, open bool) bool {
		for _, s := range served {
			if s.Token == record.Digest(token) && s.Terminal == terminal && (s.To == record.Open) == open {
				return true
			}
		}
		return false
	}
	read := func() {
		in, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if served, err = record.Read(in, "ide-1"); err != nil {
			t.Fatal(err)
		}
	}
	until(t, func() bool { read(); return has("a", true, true) && has("b", false, false) })
	ws.CloseNow()
	until(t, func() bool { read(); return has("a", true, false) })
}

func get(address, path string) (string, error) {
	answer, err := http.Get("http://" + address + path)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// until waits for a condition.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}
