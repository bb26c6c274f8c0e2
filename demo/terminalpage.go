package demo

import (
	"embed"
	"html/template"
	"net/http"
)

//go:embed assets
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "assets/page.html"))

// pagePolicy lets the page load files from its own origin and connect to it, and nothing
// else.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page serves the terminal's page. The page's script reads the token from its URL; the
// template doesn't get it.
func (h *Host) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	_ = pageTemplate.Execute(w, struct { // fails only when the client has gone
		Name string
		Stop bool
	}{h.cfg.Name, h.cfg.Stop != nil})
}

// asset serves one of the page's script and style files.
func asset(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, assets, "assets/static/"+r.PathValue("file"))
}
