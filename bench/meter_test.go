package main

import (
	"os"
	"runtime"
	"testing"
	"time"
)

const tail = " S 7 10 10 0 -1 4194560 2000 0 0 0 123 45 6 7 20 0 3 0 500 100 200"

func TestStatIsReadWhateverTheName(t *testing.T) {
	for _, name := range []string{"lb", "nginx: worker", "a) S 1 (b"} {
		got, err := parseStat("10 (" + name + ")" + tail)
		want := stat{pid: 10, parent: 7, cpu: 1680 * time.Millisecond}
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestStatKnowsTheEnded(t *testing.T) {
	if got, err := parseStat("10 (lb) Z" + tail[2:]); err != nil || !got.ended {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBrokenStatIsAnError(t *testing.T) {
	for _, line := range []string{"", "10 lb S", "10 (lb", "10 (lb) S 7", "x (lb)" + tail, ") 10 ("} {
		if got, err := parseStat(line); err == nil {
			t.Errorf("%q: got %+v, want an error", line, got)
		}
	}
}

func TestDescendFindsGrandchildrenAndNobodyElse(t *testing.T) {
	children := map[int][]stat{
		1: {{pid: 2, parent: 1}, {pid: 9, parent: 1}},
		2: {{pid: 3, parent: 2}, {pid: 4, parent: 2}},
		4: {{pid: 5, parent: 4}},
	}
	var got []int
	for _, s := range descend(stat{pid: 2}, children) {
		got = append(got, s.pid)
	}
	if len(got) != 4 || got[0] != 2 || got[1] != 3 || got[2] != 4 || got[3] != 5 {
		t.Errorf("got %v, want [2 3 4 5]", got)
	}
}

func TestOwnCPUTimeGrowsWithWork(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if now, err := cpuTime(os.Getpid()); err != nil || now > before {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Errorf("still %v", before)
}

func TestPSSIsTheSumAndNoPartOfIt(t *testing.T) {
	rollup := "00400000-7fff00000000 ---p 00000000 00:00 0    [rollup]\nRss:  900 kB\nPss:  512 kB\nPss_Dirty:  100 kB\nPss_Anon:  90 kB\n"
	if got, err := parsePSS(rollup); err != nil || got != 512*1024 {
		t.Errorf("got %v, %v, want %d", got, err, 512*1024)
	}
	for _, bad := range []string{"", "Rss: 900 kB\n", "Pss: many kB\n"} {
		if got, err := parsePSS(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}

func TestOwnMemoryIsMeasured(t *testing.T) {
	before, err := pss(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const much = 64 << 20
	block := make([]byte, much)
	for i := range block {
		block[i] = 1
	}
	after, err := pss(os.Getpid())
	if err != nil || after-before < much/2 {
		t.Errorf("%v bytes, then %v, %v: want %d more", before, after, err, much)
	}
	runtime.KeepAlive(block)
}
