package edge

import (
	"cmp"
	"time"

	"tokenring/admin"
	"tokenring/proxy/quota"
)

// limits returns what one source and one key may use, and who has met that, for operators.
func (e *Edge) limits() admin.Limits {
	s := e.quotas.Status(time.Now())
	all := admin.Limits{MostKnown: quota.MostKnown}
	if of := s.Source; of != nil {
		all.PerSource = &admin.Quota{
			Connections: of.Connections, NewConnections: of.NewConnections, Requests: of.Requests, Terminals: of.Terminals,
			Burst: burst(of.Burst), Known: s.Sources,
		}
	}
	if of := s.Key; of != nil {
		all.PerKey = &admin.Quota{Requests: of.Requests, Terminals: of.Terminals, Burst: burst(of.Burst), Known: s.Keys}
	}
	for _, o := range s.Top {
		one := admin.Offender{Key: o.Key.String(), Limit: o.Limit.String(), Refused: o.Refused, Last: o.Last}
		if o.Source.IsValid() {
			one.Source = o.Source.String()
		}
		all.Top = append(all.Top, one)
	}
	return all
}

func burst(d time.Duration) string { return cmp.Or(d, quota.DefaultBurst).String() }
