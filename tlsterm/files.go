package tlsterm

import (
	"os"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// A pairState is one pair of files and what came of them.
type pairState struct {
	Pair
	seen    [2]stamp     // of the files when they were last read
	cert    *certificate // the last good one
	problem string       // why the files as seen aren't in use
	warned  bool         // that cert has expired
}

func newPairState(p Pair, log zerolog.Logger) (*pairState, error) {
	state := &pairState{Pair: p, seen: p.stamps()}
	var err error
	if state.cert, err = loadPair(p); err != nil {
		return nil, err
	}
	state.warn(log)
	if info, err := os.Stat(p.Key); err == nil && info.Mode().Perm()&0o007 != 0 {
		log.Warn().Str("key", p.Key).Stringer("mode", info.Mode().Perm()).Msg("everybody on this machine may use the private key file")
	}
	return state, nil
}

// stamps are taken before the files are read: a change in between shows as one
// more change the next time.
func (p Pair) stamps() [2]stamp { return [2]stamp{stampOf(p.Cert), stampOf(p.Key)} }

// refresh reads the files again if they changed since it last did, and reports
// whether they did. Unless both are good and fit, the old pair stays.
func (p *pairState) refresh(log zerolog.Logger) (changed bool) {
	stamps := p.stamps()
	if stamps == p.seen {
		return false
	}
	p.seen = stamps
	cert, err := loadPair(p.Pair)
	if err != nil {
		p.problem = err.Error()
		log.Error().Err(err).Str("file", p.Cert).Msg("changed certificate can't be used, the old one stays")
		return true
	}
	p.cert, p.problem, p.warned = cert, "", false
	log.Info().Str("file", p.Cert).Strs("names", cert.names).Time("not_after", cert.Leaf.NotAfter).Msg("certificate reloaded")
	return true
}

// warn tells once that the certificate in use is of no use to clients.
func (p *pairState) warn(log zerolog.Logger) {
	if p.warned || time.Now().Before(p.cert.Leaf.NotAfter) {
		return
	}
	p.warned = true
	log.Warn().Str("file", p.Cert).Strs("names", p.cert.names).Time("not_after", p.cert.Leaf.NotAfter).Msg("certificate has expired")
}

// A stamp changes when a file does. The zero stamp is of a file that can't be
// looked at.
type stamp struct {
	modified, changed time.Time
	size              int64
	inode             uint64
}

// stampOf follows symbolic links, as reading does: whoever swaps a link swaps
// the file.
func stampOf(file string) stamp {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}
	}
	s := stamp{modified: info.ModTime(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode, s.changed = sys.Ino, time.Unix(sys.Ctim.Unix())
	}
	return s
}
