package admin

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// A Zone is what operators see of a server of names. Its funcs are safe for concurrent use.
type Zone struct {
	Status func() ZoneStatus
	// Explain says what a name leads an address to. ok is false if the name is no service's, or
	// nothing is answered yet.
	Explain func(name string, from netip.Addr) (x ZoneExplanation, ok bool)
}

// A ZoneStatus is the state of a zone.
type ZoneStatus struct {
	Name     string         `json:"name" doc:"The server's"`
	Zone     string         `json:"zone"`
	Serial   uint32         `json:"serial" doc:"Of the zone; it grows with each change of what is answered. 0 before the first answer"`
	Services []ZoneService  `json:"services"`
	Regions  []RegionStatus `json:"regions"`
}

// A ZoneService is a name that regions serve.
type ZoneService struct {
	Name    string   `json:"name"`
	Regions []string `json:"regions"`
}

// A RegionStatus is the state of a region.
type RegionStatus struct {
	Name      string          `json:"name"`
	Mode      string          `json:"mode" enum:"obey,always,no"`
	Serves    bool            `json:"serves"`
	Changing  bool            `json:"changing" doc:"Whether its answers have the TTL of changes"`
	Addresses []AddressStatus `json:"addresses"`
}

// An AddressStatus is the state of an address of a region.
type AddressStatus struct {
	Address string     `json:"address"`
	Mode    string     `json:"mode" enum:"obey,always,no"`
	Up      bool       `json:"up" doc:"What its probes say"`
	Since   *time.Time `json:"since,omitempty" doc:"When that last changed"`
	Error   string     `json:"error,omitempty" doc:"Of the last probe; missing if it passed"`
}

// A ZoneExplanation says why a network gets its answer.
type ZoneExplanation struct {
	Name      string   `json:"name"`
	Network   string   `json:"network" doc:"The whole network that gets this answer"`
	Region    string   `json:"region"`
	Reason    string   `json:"reason" enum:"first,next,failover,other,fallback" doc:"first: the network's first region; next: those before it don't serve; failover: it is the failover of one that doesn't; other: none of these serve; fallback: no region serves, and this one is answered as if it did"`
	For       string   `json:"for" doc:"The region in whose place it is"`
	Prefers   []string `json:"prefers" doc:"The network's regions, the best first; empty: the service's order"`
	TTL       int      `json:"ttl_seconds"`
	Addresses []string `json:"addresses"`
}

const zoneAbout = `How operators watch a server of names. Every call except /healthz and /readyz needs the
token from the file that admin.token_file in lb.yaml names, as "Authorization: Bearer …". Errors are problem details (RFC 9457).`

// registerZone adds the operations of a server of names to mux.
func (s *Server) registerZone(mux *http.ServeMux) {
	api := s.newAPI(mux, zoneAbout)
	huma.Register(api, operation(http.MethodGet, "/v1/dns", "Show the zone, its services and its regions"), s.getZone)
	huma.Register(api, operation(http.MethodGet, "/v1/dns/explain", "Say which region a network is led to, and why", http.StatusNotFound, http.StatusUnprocessableEntity), s.explainName)
	serveDescription(mux, withHealthPaths(api.OpenAPI()))
}

type zoneOutput struct{ Body ZoneStatus }

func (s *Server) getZone(context.Context, *struct{}) (*zoneOutput, error) {
	return &zoneOutput{Body: s.deps.Zone.Status()}, nil
}

type nameInput struct {
	Name string `query:"name" required:"true" minLength:"1" maxLength:"255" doc:"The name that is asked for, with or without the zone's; @ is the zone itself"`
	From string `query:"from" required:"true" minLength:"2" maxLength:"50" doc:"An address of the network: the user's, if the resolver says it, or the resolver's"`
}

type nameOutput struct{ Body ZoneExplanation }

func (s *Server) explainName(_ context.Context, in *nameInput) (*nameOutput, error) {
	from, err := netip.ParseAddr(in.From)
	if err != nil || from.Zone() != "" {
		return nil, huma.Error422UnprocessableEntity("from is no IP address; write for example 192.0.2.7")
	}
	x, ok := s.deps.Zone.Explain(in.Name, from)
	if !ok {
		return nil, huma.Error404NotFound("no service has this name, or the regions haven't been probed yet: see /v1/dns")
	}
	return &nameOutput{Body: x}, nil
}
