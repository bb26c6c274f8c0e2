package admin

import "context"

// Routes are the routes of a balancer, and how often requests have matched them.
type Routes struct {
	Routes    []RouteStatus `json:"routes" doc:"In the order of the configuration, of which the first that matches a request counts; empty if there are none"`
	Unmatched RouteStatus   `json:"unmatched" doc:"What becomes of requests that no route matches"`
}

// A RouteStatus is a route.
type RouteStatus struct {
	Name     string `json:"name,omitempty" doc:"As metrics and commands know it: its name in the configuration, or its place there"`
	Matches  string `json:"matches,omitempty" doc:"Methods, host name and path that it is for; * stands for any"`
	Does     string `json:"does" doc:"What becomes of the requests"`
	Requests uint64 `json:"requests" doc:"How many requests have matched since this process began"`
}

type routesOutput struct{ Body Routes }

// listRoutes lists the routes.
func (s *Server) listRoutes(context.Context, *struct{}) (*routesOutput, error) {
	return &routesOutput{s.deps.Routes()}, nil
}
