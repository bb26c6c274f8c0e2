package admin

import (
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/route"
)

// enoughServes refuses to take a host out of service if too little would serve without it: no
// host at all, or hosts with less than a share of the weight of all. The error is an answer
// of the API. It refuses nothing that an operator has confirmed, by leaving out max_moved.
func (s *Server) enoughServes(snap *route.Snapshot, host string, to target, confirmed bool) error {
	if confirmed || to.state == route.Ready && to.weight > 0 || !snap.Host(host).Serving() {
		return nil
	}
	serve, all := 0, 0
	for _, h := range snap.Hosts {
		if h.Leaving {
			continue
		}
		all += h.Weight
		if h.Serving() && h.Name != host {
			serve += h.Weight
		}
	}
	least := s.pool(route.PoolOf(host)).MinServing * float64(all)
	switch {
	case serve == 0:
		return tooLittle("no host would serve without %s", host)
	case float64(serve) < least:
		return tooLittle("without %s, hosts with %.0f %% of the weight would serve, and drain.min_serving is %.0f %%",
			host, 100*float64(serve)/float64(all), 100*s.pool(route.PoolOf(host)).MinServing)
	}
	return nil
}

func tooLittle(format string, args ...any) error {
	return huma.Error409Conflict("nothing was changed: " + fmt.Sprintf(format, args...) + ". To change it anyway, send it without max_moved (lb ctl: --yes)")
}
