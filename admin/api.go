package admin

import (
	"net/http"
	"reflect"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tokenring/problem"
)

const apiAbout = `How operators watch and control a load balancer. Every call except /healthz and /readyz needs the
token from the file that admin.token_file in lb.yaml names, as "Authorization: Bearer …". Errors are problem details (RFC 9457).`

// pastFailures are the statuses of errors of calls about an earlier moment.
var pastFailures = []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity}

func init() {
	// encoding/json accepts State for state, and the last of the two wins. Without
	// this, the value that is used might not be the value that was checked.
	huma.ValidateStrictCasing = true
}

// registerAPI adds the API's operations and their OpenAPI document to mux.
func (s *Server) registerAPI(mux *http.ServeMux) {
	api := s.newAPI(mux, apiAbout)
	huma.Register(api, operation(http.MethodGet, "/v1/status", "Show the state of the balancer and its region"), s.getStatus)
	huma.Register(api, operation(http.MethodGet, "/v1/hosts", "List the hosts"), s.listHosts)
	huma.Register(api, operation(http.MethodGet, "/v1/hosts/{name}", "Show one host", http.StatusNotFound), s.getHost)
	huma.Register(api, withLongDeadline(operation(http.MethodPatch, "/v1/hosts/{name}", "Make a host ready, drain it, or put it in maintenance",
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)), s.patchHost)
	s.registerHostEdits(api)
	huma.Register(api, withLongDeadline(operation(http.MethodPost, "/v1/hosts/{name}/rekey", "Say by which key balancers know a host from now on",
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)), s.rekey)
	huma.Register(api, operation(http.MethodGet, "/v1/ring", "Show the shares of the ring, and whether all balancers agree; or the ring of an earlier moment", pastFailures...), s.getRing)
	huma.Register(api, operation(http.MethodGet, "/v1/ring/history", "List the rings that were in force, and why each came"), s.getRingHistory)
	huma.Register(api, operation(http.MethodGet, "/v1/pool-key", "Show by their digests which secrets the gossips have, and which of them each member uses"), s.getPoolKey)
	explain := operation(http.MethodPost, "/v1/explain", "Say which host a token goes to, or went to at an earlier moment, and why", pastFailures...)
	explain.Metadata = map[string]any{secretBody: true}
	huma.Register(api, explain, s.explain)
	huma.Register(api, withLongDeadline(operation(http.MethodPost, "/v1/whatif", "Say what a change of the ring would move; nothing changes",
		http.StatusUnprocessableEntity, http.StatusServiceUnavailable)), s.whatif)
	failures := []int{http.StatusConflict, http.StatusUnprocessableEntity, http.StatusInsufficientStorage, http.StatusBadGateway}
	huma.Register(api, withLongDeadline(operation(http.MethodPost, "/v1/reload", "Have the changed configuration take effect, in a new generation", failures...)), s.reload)
	huma.Register(api, withLongDeadline(operation(http.MethodPost, "/v1/upgrade", "Have another binary take effect, in a new generation", failures...)), s.upgrade)
	huma.Register(api, operation(http.MethodGet, "/v1/generations", "List the processes of this balancer", http.StatusServiceUnavailable), s.listGenerations)
	huma.Register(api, operation(http.MethodGet, "/v1/routes", "List the routes, and how often requests have matched them"), s.listRoutes)
	huma.Register(api, operation(http.MethodGet, "/v1/limits", "Show what one source or key may use, and who has met that lately"), s.listLimits)
	s.registerSessions(api)
	s.registerMaintenance(api)
	huma.Register(api, withLongDeadline(operation(http.MethodPost, "/v1/insist", "Make the changes of the ring that wait for balancers that are missing",
		http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)), s.insist)
	doc := withPlainPaths(api.OpenAPI())
	tooMuchSchema := doc.Components.Schemas.Schema(reflect.TypeFor[tooMuch](), true, "TooMuch")
	host := doc.Paths["/v1/hosts/{name}"]
	for _, op := range []*huma.Operation{host.Patch, host.Put, host.Delete, doc.Paths["/v1/hosts"].Post} {
		op.Responses["409"].Content["application/problem+json"].Schema = tooMuchSchema
	}
	serveDescription(mux, doc)
}

// newAPI returns an API without operations.
func (s *Server) newAPI(mux *http.ServeMux, about string) huma.API {
	cfg := huma.DefaultConfig("Tokenring admin API", s.deps.Version)
	cfg.Info.Description = about
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	cfg.Security = []map[string][]string{{"token": {}}}
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", "" // served below, without files from other sites
	cfg.CreateHooks = nil                                       // no $schema fields
	cfg.Transformers = []huma.Transformer{redactErrors}
	return humago.New(mux, cfg)
}

// operation describes one call of the API. failures are the statuses of its errors,
// besides those of every call.
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

// withPlainPaths adds to doc the paths of a balancer whose answers aren't JSON.
func withPlainPaths(doc *huma.OpenAPI) *huma.OpenAPI {
	withHealthPaths(doc)
	doc.Paths["/events"] = textPath("get-events", "The data of the dashboard, about once a second, as server-sent events", "text/event-stream", nil, "503")
	return doc
}

// withHealthPaths adds to doc the paths that every server has whose answers aren't JSON.
func withHealthPaths(doc *huma.OpenAPI) *huma.OpenAPI {
	public := []map[string][]string{} // replaces the document's security: no token is needed
	doc.Paths["/healthz"] = textPath("get-healthz", "Answer as long as the process can", "text/plain", public)
	doc.Paths["/readyz"] = textPath("get-readyz", "Say whether this server takes traffic", "text/plain", public, "503")
	doc.Paths["/metrics"] = textPath("get-metrics", "Prometheus metrics", "text/plain", nil)
	doc.Paths["/v1/openapi.json"] = textPath("get-openapi-json", "This document", "application/openapi+json", nil)
	doc.Paths["/v1/openapi.yaml"] = textPath("get-openapi-yaml", "This document as YAML", "application/openapi+yaml", nil)
	return doc
}

// textPath returns a path whose answer is a text.
func textPath(id, summary, mediaType string, security []map[string][]string, failures ...string) *huma.PathItem {
	responses := map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{mediaType: {}}}}
	for _, status := range failures {
		responses[status] = &huma.Response{Description: "Not ready, or too many streams; the text says why"}
	}
	return &huma.PathItem{Get: &huma.Operation{OperationID: id, Summary: summary, Responses: responses, Security: security}}
}

// serveDescription serves doc as JSON and as YAML. Each is encoded when it is first asked
// for, since few ask for it.
func serveDescription(mux *http.ServeMux, doc *huma.OpenAPI) {
	for ext, encode := range map[string]func() ([]byte, error){"json": doc.MarshalJSON, "yaml": doc.YAML} {
		encoded := sync.OnceValues(encode)
		mux.HandleFunc("GET /v1/openapi."+ext, func(w http.ResponseWriter, _ *http.Request) {
			text, err := encoded()
			if err != nil {
				problem.Write(w, http.StatusInternalServerError, "describe the admin API: "+err.Error())
				return
			}
			w.Header().Set("Content-Type", "application/openapi+"+ext)
			_, _ = w.Write(text)
		})
	}
}
