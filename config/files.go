package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tokenring/admin"
	"tokenring/pool"
	"tokenring/statefile"
)

const maxFile = 1 << 20 // bytes of a certificate, key or secret

// resolve makes a path in the file one that the process can open.
func (d *document) resolve(file *string) {
	if *file != "" && !filepath.IsAbs(*file) {
		*file = filepath.Join(d.dir, *file)
	}
}

// checkFile resolves *file, and reports whether it is one that can be read. No
// file is fine: it is up to the caller whether there must be one.
func (d *document) checkFile(path string, file *string) bool {
	if *file == "" || d.silent(path) {
		return false
	}
	written := *file
	d.resolve(file)
	err := readable(*file)
	switch {
	case err == nil:
		return true
	case looksSecret(path) && pastedSecret(written):
		d.mask(d.values[path])
		d.fail(path, "there is no such file, and this looks like the secret itself", "put it in a file and name the file here")
	case errors.Is(err, fs.ErrNotExist):
		d.fail(path, "there is no file "+*file, "paths are relative to the directory of "+d.name)
	default:
		d.fail(path, fmt.Sprintf("the file %s %s", *file, err), "it must be a plain file that this user may read")
	}
	return false
}

// checkSecret is checkFile for a gossip key. What the file holds is never
// shown.
func (d *document) checkSecret(path string, file *string) {
	if !d.checkFile(path, file) {
		return
	}
	if _, err := pool.ReadSecret(*file); err != nil {
		message, remedy, _ := strings.Cut(err.Error(), "; ")
		d.fail(path, message, remedy)
	}
}

// checkAdminToken is checkFile for the operators' token, which a person may have
// thought of.
func (d *document) checkAdminToken(path string, file *string) {
	if !d.checkFile(path, file) {
		return
	}
	text, err := statefile.ReadSecret(*file)
	if err == nil {
		if err = admin.CheckToken(string(bytes.TrimSpace(text))); err != nil {
			err = fmt.Errorf("%s: %w", *file, err)
		}
	}
	if err != nil {
		d.fail(path, err.Error(), "make one with: head -c 24 /dev/urandom | base64")
	}
}

// checkDirectory resolves *dir, which may be missing but not something else.
func (d *document) checkDirectory(path string, dir *string) {
	d.resolve(dir)
	if st, err := os.Stat(*dir); err == nil && !st.IsDir() {
		d.fail(path, *dir+" is not a directory", "it is made when it is missing")
	}
}

// readable tells what keeps path from being read as a plain file.
func readable(path string) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fs.ErrNotExist
	case err != nil:
		return errors.New("can't be read")
	case !st.Mode().IsRegular():
		return errors.New("is not a plain file")
	case st.Size() > maxFile:
		return fmt.Errorf("has %d bytes, more than %d", st.Size(), maxFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return errors.New("can't be read")
	}
	return f.Close()
}

// pastedSecret tells whether text is more likely a secret than a file's name.
func pastedSecret(text string) bool {
	return len(text) >= 20 && filepath.Ext(text) == "" && (text[0] != '/' && text[0] != '.')
}
