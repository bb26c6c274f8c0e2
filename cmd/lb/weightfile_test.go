package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func TestWeightFilesHoldOneNumber(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	const none = -1
	for content, want := range map[string]int{
		"1": 1, "256\n": 256, " 7\t\r\n": 7, "0": 0, "": none, "257": none, "-1": none, "two": none, "3 4": none, "1.5": none, "0x10": none,
		"1" + strings.Repeat(" ", 64): none,
	} {
		path := filepath.Join(dir, "weight")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readWeight(path)
		if (err != nil) != (want == none) || err == nil && got != want {
			t.Errorf("%q: got %d, %v, want %d", content, got, err, want)
		}
		if err != nil && (!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "two")) {
			t.Errorf("%q: %v; want the file's name and nothing of what is in it, which may be a secret", content, err)
		}
	}
	for _, path := range []string{dir, pipe, filepath.Join(dir, "none")} {
		if got, err := readWeight(path); err == nil {
			t.Errorf("%s: got %d, want an error", path, got)
		}
	}
}

func TestAChangedWeightIsSaidOnceAndABadOneLeavesTheLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weight")
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Error(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		log := new(syncBuffer)
		file := weightFile{path: path, weight: 1, log: zerolog.New(log)}
		if file.look() || file.weight != 1 || !strings.Contains(log.String(), path) {
			t.Errorf("without a file: weight %d, log %q", file.weight, log)
		}
		ctx, cancel := context.WithCancel(t.Context())
		weights, ended := make(chan int, 1), make(chan struct{})
		go func() {
			defer close(ended)
			file.watch(ctx, weights)
		}()
		for _, step := range []struct {
			content string
			want    int // 0: nothing is said
			lines   int // of the log, all in all
		}{
			{"5\n", 5, 1},
			{"5", 0, 1},
			{"nonsense", 0, 2},
			{"nonsense", 0, 2},
			{"", 0, 3},
			{"5", 0, 3},
			{"nonsense", 0, 4}, // it was good meanwhile
			{"6", 6, 4},
		} {
			write(step.content)
			time.Sleep(weightPause)
			synctest.Wait()
			got := 0
			select {
			case got = <-weights:
			default:
			}
			if lines := strings.Count(log.String(), "\n"); got != step.want || lines != step.lines {
				t.Errorf("%q: said %d, %d lines in the log; want %d and %d", step.content, got, lines, step.want, step.lines)
			}
		}
		cancel()
		<-ended
	})
}
