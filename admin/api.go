package admin

import (
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

const apiAbout = `How operators see and steer a load balancer. Every call but /healthz and /readyz needs the
token from the file that admin.token_file in lb.yaml names, as "Authorization: Bearer …". Errors are problem details (RFC 9457).`

func init() {
	// encoding/json takes State for state, and the last of the two wins: what was
	// checked would not be what is done.
	huma.ValidateStrictCasing = true
}

// registerAPI puts the API's operations and their description on mux.
func (s *Server) registerAPI(mux *http.ServeMux) error {
	cfg := huma.DefaultConfig("Tokenring admin API", s.deps.Version)
	cfg.Info.Description = apiAbout
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	cfg.Security = []map[string][]string{{"token": {}}}
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", "" // served below, and nothing from foreign hosts
	cfg.CreateHooks = nil                                       // no $schema fields
	cfg.Transformers = []huma.Transformer{discreet}
	api := humago.New(mux, cfg)

	huma.Register(api, operation(http.MethodGet, "/v1/status", "Say how the balancer and its region are"), s.getStatus)
	huma.Register(api, operation(http.MethodGet, "/v1/hosts", "List the hosts"), s.listHosts)
	huma.Register(api, operation(http.MethodGet, "/v1/hosts/{name}", "Show one host", http.StatusNotFound), s.getHost)
	huma.Register(api, patient(operation(http.MethodPatch, "/v1/hosts/{name}", "Make a host ready, drain it, or put it in maintenance",
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)), s.patchHost)
	huma.Register(api, operation(http.MethodGet, "/v1/ring", "Show how the ring is cut up, and whether all balancers agree"), s.getRing)
	explain := operation(http.MethodPost, "/v1/explain", "Say where a token goes and why", http.StatusUnprocessableEntity)
	explain.Metadata = map[string]any{secretBody: true}
	huma.Register(api, explain, s.explain)
	huma.Register(api, patient(operation(http.MethodPost, "/v1/whatif", "Say what would move if the ring were another; nothing changes",
		http.StatusUnprocessableEntity, http.StatusServiceUnavailable)), s.whatif)
	doc := withPlainPaths(api.OpenAPI())
	tooMuchSchema := doc.Components.Schemas.Schema(reflect.TypeFor[tooMuch](), true, "TooMuch")
	doc.Paths["/v1/hosts/{name}"].Patch.Responses["409"].Content["application/problem+json"].Schema = tooMuchSchema
	return serveDescription(mux, doc)
}

// operation describes one call of the API; failures are the statuses that it
// may answer with besides those that every call has.
func operation(method, path, summary string, failures ...int) huma.Operation {
	failures = append(failures, http.StatusUnauthorized, http.StatusMisdirectedRequest)
	if method != http.MethodGet {
		failures = append(failures, http.StatusBadRequest, http.StatusForbidden, http.StatusRequestTimeout,
			http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	return huma.Operation{
		OperationID:  huma.GenerateOperationID(method, path, &struct{}{}),
		Method:       method,
		Path:         path,
		Summary:      summary,
		MaxBodyBytes: maxBody,
		Errors:       failures,
	}
}

// withPlainPaths adds to doc the paths that answer with something else than
// JSON.
func withPlainPaths(doc *huma.OpenAPI) *huma.OpenAPI {
	nobody := []map[string][]string{} // overrides the document's security: none needed
	text := func(id, summary, mediaType string, security []map[string][]string, failures ...string) *huma.PathItem {
		responses := map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{mediaType: {}}}}
		for _, status := range failures {
			responses[status] = &huma.Response{Description: "Not now; the text says why"}
		}
		return &huma.PathItem{Get: &huma.Operation{OperationID: id, Summary: summary, Responses: responses, Security: security}}
	}
	doc.Paths["/healthz"] = text("get-healthz", "Answer as long as the process does", "text/plain", nobody)
	doc.Paths["/readyz"] = text("get-readyz", "Say whether this balancer takes traffic", "text/plain", nobody, "503")
	doc.Paths["/metrics"] = text("get-metrics", "Prometheus metrics", "text/plain", nil)
	doc.Paths["/events"] = text("get-events", "What the dashboard shows, about once a second, as server-sent events", "text/event-stream", nil, "503")
	doc.Paths["/v1/openapi.json"] = text("get-openapi-json", "This document", "application/openapi+json", nil)
	doc.Paths["/v1/openapi.yaml"] = text("get-openapi-yaml", "This document as YAML", "application/openapi+yaml", nil)
	return doc
}

// serveDescription serves doc, written once.
func serveDescription(mux *http.ServeMux, doc *huma.OpenAPI) error {
	asJSON, err := doc.MarshalJSON()
	if err != nil {
		return fmt.Errorf("describe the admin API: %w", err)
	}
	asYAML, err := doc.YAML()
	if err != nil {
		return fmt.Errorf("describe the admin API: %w", err)
	}
	for ext, text := range map[string][]byte{"json": asJSON, "yaml": asYAML} {
		mux.HandleFunc("GET /v1/openapi."+ext, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/openapi+"+ext)
			_, _ = w.Write(text)
		})
	}
	return nil
}
