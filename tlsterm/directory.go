package tlsterm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rs/zerolog"
)

// A directory has the certificates of Config.Directory. Each file with a certificate is a
// pair, whose key is in
//
//	the file itself              site.pem
//	a file beside it             site.pem.key, or site.key or site-key.pem for site.crt
//
// and each directory in it that has fullchain.pem and privkey.pem, or tls.crt and tls.key, is
// one as well, as certbot and Kubernetes write them. Hidden files are ignored.
type directory struct {
	path   string
	pairs  map[string]*pairState // by the file of the certificate
	bad    map[string]badPair    // likewise: what can't be served
	unread string                // why the directory couldn't be read by the last scan; "" if it could
}

// A badPair is a pair that can't be served.
type badPair struct {
	seen    [2]stamp // of its files when they were last read
	problem string
}

func newDirectory(path string) *directory {
	return &directory{path: path, pairs: map[string]*pairState{}, bad: map[string]badPair{}}
}

// scan takes in which files there are now, and reports whether anything has changed. A pair that
// can't be served, and one whose files have gone, are logged once. If the directory can't be read,
// what was there before stays. Files have gone when two scans have missed them: one alone may have
// met a directory that was being replaced. It does nothing on nil.
func (d *directory) scan(log zerolog.Logger) (changed bool) {
	if d == nil {
		return false
	}
	before := d.unread
	found, err := pairsIn(d.path)
	if err != nil {
		if d.unread = err.Error(); d.unread != before {
			log.Error().Err(err).Msg("certificates that come are not found; those that were there stay")
		}
		return d.unread != before
	}
	d.unread, changed = "", before != ""
	for file, state := range d.pairs {
		missedBefore := state.missed
		state.missed = !slices.ContainsFunc(found, func(p Pair) bool { return p.Cert == file })
		if state.missed && missedBefore {
			delete(d.pairs, file)
			changed = true
			log.Info().Str("file", file).Strs("names", state.cert.names).Msg("certificate is no longer served: its file has gone")
		}
	}
	for file := range d.bad {
		if !slices.ContainsFunc(found, func(p Pair) bool { return p.Cert == file }) {
			delete(d.bad, file)
			changed = true
		}
	}
	for _, p := range found {
		changed = d.take(p, log) || changed
	}
	return changed
}

// follows reports whether the last scan has seen the files of a pair. If it hasn't, there is nothing
// to read again.
func (d *directory) follows(p *pairState) bool { return d.unread == "" && !p.missed }

// take takes in a pair that is there, and reports whether anything has changed. A pair that is
// served is refreshed by Source.reload, like those of Config.Certificates.
func (d *directory) take(p Pair, log zerolog.Logger) (changed bool) {
	if served := d.pairs[p.Cert]; served != nil {
		served.Key = p.Key
		return false
	}
	stamps := p.stamps()
	if d.bad[p.Cert].seen == stamps {
		return false
	}
	state, err := newPairState(p)
	if err != nil {
		d.bad[p.Cert] = badPair{stamps, err.Error()}
		log.Error().Str("file", p.Cert).Str("why", err.Error()).Msg("a file of the directory of certificates can't be served")
		return true
	}
	delete(d.bad, p.Cert)
	d.pairs[p.Cert] = state
	log.Info().Str("file", p.Cert).Strs("names", state.cert.names).Time("not_after", state.cert.Leaf.NotAfter).Msg("certificate found")
	return true
}

// states returns the pairs that are served, sorted by their files.
func (d *directory) states() []*pairState {
	if d == nil {
		return nil
	}
	all := make([]*pairState, 0, len(d.pairs))
	for _, state := range d.pairs {
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b *pairState) int { return strings.Compare(a.Cert, b.Cert) })
	return all
}

// problems returns an Expiry for each pair that can't be served, sorted by their files, and one for
// a directory that can't be read.
func (d *directory) problems() (all []Expiry) {
	if d == nil {
		return nil
	}
	for file, b := range d.bad {
		all = append(all, Expiry{File: file, Problem: b.problem})
	}
	slices.SortFunc(all, func(a, b Expiry) int { return strings.Compare(a.File, b.File) })
	if d.unread != "" {
		all = append(all, Expiry{File: d.path, Problem: d.unread})
	}
	return all
}

// certificateSuffixes are of files that may have certificates; others in the directory are of
// other programs.
var certificateSuffixes = []string{".pem", ".crt", ".cer", ".cert"}

// pairsIn returns the pairs that a directory has, sorted. It doesn't read their files.
func pairsIn(path string) (pairs []Pair, err error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		var broken *fs.PathError
		if errors.As(err, &broken) {
			err = broken.Err
		}
		return nil, fmt.Errorf("directory of certificates %s: %w", path, err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		file := filepath.Join(path, e.Name())
		info, err := os.Stat(file) // of what a symbolic link leads to
		switch {
		case err != nil:
		case info.IsDir():
			pairs = append(pairs, pairOfDirectory(file)...)
		case info.Mode().IsRegular() && IsCertificate(file):
			pairs = append(pairs, Pair{Cert: file, Key: keyBeside(file)})
		}
	}
	return pairs, nil
}

// IsCertificate reports whether a file of a directory of certificates has one, by its name.
func IsCertificate(file string) bool {
	return slices.Contains(certificateSuffixes, filepath.Ext(file)) && !isKeyFile(file)
}

// pairOfDirectory returns the pair of a directory in the directory, if it has one.
func pairOfDirectory(path string) []Pair {
	for _, names := range [][2]string{{"fullchain.pem", "privkey.pem"}, {"tls.crt", "tls.key"}} {
		p := Pair{Cert: filepath.Join(path, names[0]), Key: filepath.Join(path, names[1])}
		if isFile(p.Cert) {
			return []Pair{p}
		}
	}
	return nil
}

// isKeyFile reports whether a PEM file is named as the key of another one.
func isKeyFile(file string) bool {
	return strings.HasSuffix(file, "-key.pem") || filepath.Base(file) == "privkey.pem" || filepath.Base(file) == "key.pem"
}

// keyBeside returns the file of the key for the certificate in a file.
func keyBeside(file string) string {
	base := strings.TrimSuffix(file, filepath.Ext(file))
	for _, key := range []string{file + ".key", base + ".key", base + "-key.pem"} {
		if isFile(key) {
			return key
		}
	}
	return file
}

func isFile(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}

// ReadDirectory returns an Expiry for each pair in a directory of certificates, sorted by their
// files; those that can't be served have a Problem and no Names. The error says why the directory
// can't be read.
func ReadDirectory(path string) (all []Expiry, err error) {
	pairs, err := pairsIn(path)
	for _, p := range pairs {
		e, readErr := ReadPair(p)
		if readErr != nil {
			e = Expiry{File: p.Cert, Problem: readErr.Error()}
		}
		all = append(all, e)
	}
	return all, err
}

// KeyFiles returns the files of the private keys in a directory of certificates; none for "".
func KeyFiles(path string) (files []string) {
	if path == "" {
		return nil
	}
	pairs, _ := pairsIn(path) // who can't read the directory can't check its files
	for _, p := range pairs {
		files = append(files, p.Key)
	}
	return files
}
