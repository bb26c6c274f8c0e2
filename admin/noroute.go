package admin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/problem"
)

// noRoute answers requests for paths that mux doesn't have, and for methods that a
// path doesn't have.
func noRoute(mux *http.ServeMux) http.HandlerFunc {
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost, http.MethodPut, http.MethodDelete}
	return func(w http.ResponseWriter, r *http.Request) {
		allowed := slices.DeleteFunc(slices.Clone(methods), func(method string) bool {
			probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
			_, pattern := mux.Handler(probe)
			return pattern == "/"
		})
		if len(allowed) == 0 {
			problem.Write(w, http.StatusNotFound, "there is nothing at this path; GET /v1/openapi.json lists all paths")
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		problem.Write(w, http.StatusMethodNotAllowed, "this path has "+strings.Join(allowed, ", ")+" only")
	}
}

// secretBody marks, in an operation's metadata, those whose body holds a user's
// token.
const secretBody = "secret body"

// redactErrors is a huma.Transformer that removes from error answers what the client
// has sent. huma quotes whole bodies, values and names of properties. In an operation
// with a secret body the answer must have none of these, because answers are shown in
// terminals and logs.
func redactErrors(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	if ctx.Operation().Metadata[secretBody] != nil && len(m.Errors) > 0 {
		m.Errors = []*huma.ErrorDetail{{Location: "body", Message: `want {"token":"…"} as application/json, and a token of 1 to 16384 characters; "at" may be beside it, a time`}}
	}
	var details []string
	for _, e := range m.Errors {
		e.Value = nil
		details = append(details, strings.TrimPrefix(e.Location+": ", ": ")+e.Message)
	}
	if len(details) > 0 {
		m.Detail += ": " + strings.Join(details, "; ")
	}
	return m, nil
}
