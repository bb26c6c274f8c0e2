package admin

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"path"

	"tokenring/problem"
)

//go:embed web
var web embed.FS

var pages = template.Must(template.ParseFS(web, "web/*.html"))

// contentTypes are the types of the files under /assets/, by their ending.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// page answers with the dashboard, or with the sign-in form if the browser isn't
// signed in.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	name := "dashboard.html"
	if callerOf(r.Context()) == nil {
		name = "signin.html"
	}
	var html bytes.Buffer
	if err := pages.ExecuteTemplate(&html, name, struct{ Name, Version string }{s.deps.Name, s.deps.Version}); err != nil {
		s.deps.Logger.Error().Err(err).Str("page", name).Msg("render a page")
		problem.Write(w, http.StatusInternalServerError, "this page can't be shown")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(html.Bytes()) // an error means that the client has gone
}

// asset answers with one of the pages' own files.
func asset(w http.ResponseWriter, r *http.Request) {
	file := r.PathValue("file")
	contentType, ok := contentTypes[path.Ext(file)]
	data, err := web.ReadFile("web/" + file)
	if !ok || err != nil {
		problem.Write(w, http.StatusNotFound, "there is no such file")
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(data)
}
