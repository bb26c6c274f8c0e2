package fields

// A Plan is what is changed in the requests of a listener that go one way: by one route, to one pool.
// A nil Plan changes nothing.
type Plan struct{ request, response *Program }

// NewPlan returns the plan of some levels, the outermost first. It returns nil if none changes
// anything.
func NewPlan(levels ...*Config) *Plan {
	var requests, responses []Changes
	for _, c := range levels {
		if c != nil {
			requests, responses = append(requests, c.Request), append(responses, c.Response)
		}
	}
	p := &Plan{Compile(requests...), Compile(responses...)}
	if p.request == nil && p.response == nil {
		return nil
	}
	return p
}

// Request returns what is changed in requests.
func (p *Plan) Request() *Program {
	if p == nil {
		return nil
	}
	return p.request
}

// Response returns what is changed in answers.
func (p *Plan) Response() *Program {
	if p == nil {
		return nil
	}
	return p.response
}
