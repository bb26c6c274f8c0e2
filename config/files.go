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
	"tokenring/gossip"
	"tokenring/statefile"
)

const maxFile = 1 << 20 // bytes of a certificate, key or secret

// resolve replaces a relative path, which is relative to lb.yaml's directory, by one that
// the process can open.
func (d *document) resolve(file *string) {
	if *file != "" && !filepath.IsAbs(*file) {
		*file = filepath.Join(d.dir, *file)
	}
}

// checkFile resolves *file. It returns whether the file can be read, and reports an error
// if not. If *file is empty, it returns false without an error.
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
		d.mask(d.values[d.path(path)])
		d.fail(path, "there is no such file, and this looks like the secret itself", "put it in a file and name the file here")
	case errors.Is(err, fs.ErrNotExist):
		hint := "paths are relative to the directory of " + d.name
		if filepath.IsAbs(written) {
			hint = "put it there, or name another file"
		}
		d.fail(path, "there is no file "+*file, hint)
	default:
		d.fail(path, fmt.Sprintf("the file %s %s", *file, err), "it must be a plain file that this user may read")
	}
	return false
}

// checkSecrets is checkFile for a file of one key, or of two while they change. Errors never
// show the file's content.
func (d *document) checkSecrets(path string, file *string) {
	if !d.checkFile(path, file) {
		return
	}
	if _, err := gossip.ReadSecrets(*file); err != nil {
		message, remedy, _ := strings.Cut(err.Error(), "; ")
		d.fail(path, message, remedy)
	}
}

// checkAdminToken is checkFile for the operators' token. The file has the token itself as
// text, not a key in base64.
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

// checkDirectory resolves *dir. The directory may be missing; an error is reported if it
// is something else.
func (d *document) checkDirectory(path string, dir *string) {
	d.resolve(dir)
	if st, err := os.Stat(*dir); err == nil && !st.IsDir() {
		d.fail(path, *dir+" is not a directory", "lb makes the directory if there is nothing at this path")
	}
}

// readable returns why path can't be read as a plain file, nil if it can.
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

// pastedSecret reports whether text is more likely a secret than a file name.
func pastedSecret(text string) bool {
	return len(text) >= 20 && filepath.Ext(text) == "" && (text[0] != '/' && text[0] != '.')
}
