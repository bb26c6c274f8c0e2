package admin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// problem answers with problem details (RFC 9457).
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(&huma.ErrorModel{ // an error means that the client has gone
		Status: status,
		Title:  http.StatusText(status),
		Detail: detail,
	})
}

// noRoute answers for paths that mux doesn't know, and for methods that a known
// path doesn't have.
func noRoute(mux *http.ServeMux) http.HandlerFunc {
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost}
	return func(w http.ResponseWriter, r *http.Request) {
		allowed := slices.DeleteFunc(slices.Clone(methods), func(method string) bool {
			probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
			_, pattern := mux.Handler(probe)
			return pattern == "/"
		})
		if len(allowed) == 0 {
			problem(w, http.StatusNotFound, "there is nothing at this path; GET /v1/openapi.json lists what there is")
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		problem(w, http.StatusMethodNotAllowed, "this path has "+strings.Join(allowed, ", ")+" only")
	}
}

// secretBody marks, in an operation's metadata, those whose body holds a user's
// token.
const secretBody = "secret body"

// discreet is a huma.Transformer that takes out of error answers what the
// client has sent. huma quotes whole bodies, values and names of properties; in
// an operation with a secret body none of that may come back, for answers end up
// in terminals and logs.
func discreet(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	if ctx.Operation().Metadata[secretBody] != nil && len(m.Errors) > 0 {
		m.Errors = []*huma.ErrorDetail{{Location: "body", Message: `want {"token":"…"} as application/json, and a token of 1 to 16384 characters`}}
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
