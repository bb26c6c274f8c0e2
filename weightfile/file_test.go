package weightfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/testlog"
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
		log := new(testlog.Buffer)
		file := File{Path: path, Weight: 1, Log: zerolog.New(log)}
		if file.read() || file.Weight != 1 || !strings.Contains(log.String(), path) {
			t.Errorf("without a file: weight %d, log %q", file.Weight, log)
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
			time.Sleep(interval)
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

// TestARunGetsTheWeightsOfTheFile: the first one at once, and later ones until it
// ends; then the file isn't read any more.
func TestARunGetsTheWeightsOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weight")
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Error(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		write("3")
		file := File{Path: path, Weight: 1, Log: zerolog.Nop()}
		over := errors.New("it is over")
		err := file.While(t.Context(), func(weight int, weights <-chan int) error {
			write("4")
			if next := <-weights; weight != 3 || next != 4 {
				t.Errorf("got %d, then %d, want 3 and 4", weight, next)
			}
			write("5") // is read, and isn't received
			time.Sleep(2 * interval)
			return over
		})
		if !errors.Is(err, over) {
			t.Errorf("got %v, want what the run returns", err)
		}
	}) // a goroutine that goes on would fail the test
}
