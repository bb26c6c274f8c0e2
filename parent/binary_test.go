package parent

import (
	"os"
	"testing"

	"github.com/rs/zerolog"
)

// TestAProgramIsExecutedWhateverItsDescriptor: package syscall moves files of a new process to
// descriptors just above the highest of them. There the program was found overwritten.
func TestAProgramIsExecutedWhateverItsDescriptor(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var below []*os.File
	for range 24 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		below = append(below, f)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := openBinary(self)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	p := &Parent{sockets: newSockets(), Options: Options{Arguments: []string{"version"}, Output: null, Errors: os.Stderr, Logger: zerolog.Nop()}}
	for i := len(below) - 1; i >= 0; i-- { // the files of each process come closer to the program's
		below[i].Close()
		if _, err := b.run(t.Context(), "", "version"); err != nil {
			t.Errorf("with %d descriptors free below the program's: %v", len(below)-i, err)
		}
		g, err := p.spawn(b)
		if err != nil {
			t.Errorf("with %d descriptors free below the program's: %v", len(below)-i, err)
			continue
		}
		<-g.exited
	}
}
