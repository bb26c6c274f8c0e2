package config

import (
	"fmt"
	"os"
	"unicode/utf8"

	"tokenring/proxy/localreply"
)

// checkPages reads the files of pages.html, and reports those that can't be one.
func (c *Config) checkPages(d *document) {
	for i := range c.Pages.HTML {
		t := &c.Pages.HTML[i]
		path := under("pages.html", t.Key())
		if !d.checkFile(path, &t.File) {
			continue
		}
		text, err := os.ReadFile(t.File)
		text = localreply.WithoutHead(text)
		switch {
		case err != nil:
			d.fail(path, err.Error(), "it must be a plain file that this user may read")
		case len(text) > localreply.MaxTemplate:
			d.fail(path, fmt.Sprintf("the page has %d bytes, at most %d are possible", len(text), localreply.MaxTemplate), "load pictures and styles from elsewhere")
		case len(text) == 0:
			d.fail(path, "the file is empty", "write the page into it, or leave it out for the built-in one")
		case !utf8.Valid(text):
			d.fail(path, "the page isn't UTF-8", "pages are sent with charset=utf-8")
		}
		t.Text = string(text)
	}
}
