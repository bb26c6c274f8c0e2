package balancer_test

import (
	"fmt"

	"tokenring/balancer"
)

// A table is built from the hosts that may own keys. Each lookup says which of them
// are up at the moment.
func Example() {
	builder, err := balancer.NewBuilder(balancer.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	table, err := builder.Build([]balancer.Host{
		{Name: "ide-1", Weight: 1},
		{Name: "ide-2", Weight: 1},
		{Name: "ide-3", Weight: 2},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	up := []bool{true, true, true} // as in table.Hosts()
	host, rule := table.Pick([]byte("alice"), up, -1)
	fmt.Println(table.Hosts()[host].Name, rule)

	up[host] = false
	host, rule = table.Pick([]byte("alice"), up, -1)
	fmt.Println(table.Hosts()[host].Name, rule)
	// Output:
	// ide-1 owner
	// ide-2 fallback
}

// The successor of a key owns the key after its host has been taken out.
func ExampleTable_Candidates() {
	builder, err := balancer.NewBuilder(balancer.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	hosts := []balancer.Host{{Name: "ide-1", Weight: 1}, {Name: "ide-2", Weight: 1}, {Name: "ide-3", Weight: 1}}
	for len(hosts) > 0 {
		table, err := builder.Build(hosts)
		if err != nil {
			fmt.Println(err)
			return
		}
		var names []string
		for _, i := range table.Candidates([]byte("carol")) {
			names = append(names, table.Hosts()[i].Name)
		}
		fmt.Println(names)
		owner := table.Owner([]byte("carol"))
		hosts = append(hosts[:owner], hosts[owner+1:]...)
	}
	// Output:
	// [ide-1 ide-2 ide-3]
	// [ide-2 ide-3]
	// [ide-3]
}

func ExampleQueryValue() {
	for _, query := range []string{"a=1&token=al%20ice", "token=&token=bob", "Token=alice"} {
		value, ok := balancer.QueryValue([]byte(query), "token")
		fmt.Printf("%q %v\n", value, ok)
	}
	// Output:
	// "al%20ice" true
	// "" false
	// "" false
}

func ExampleConfig_Validate() {
	cfg := balancer.Config{
		Policy:     "modulo",
		Consistent: balancer.ConsistentConfig{Load: 0.9},
	}
	for _, problem := range cfg.Validate() {
		fmt.Printf("$.hash.%s: %s\n", problem.Path, problem.Message)
	}
	// Output:
	// $.hash.policy: there is no policy "modulo"; known: consistent, rendezvous, maglev, ketama, haproxy, round-robin, least-connections
	// $.hash.consistent.load: 0.9 is not in 1.05..10: a host may own at most this multiple of its fair share
}

// An explanation tells operators which host owns the key, and why it isn't there.
func ExampleTable_Explain() {
	builder, err := balancer.NewBuilder(balancer.Config{Policy: balancer.PolicyRendezvous})
	if err != nil {
		fmt.Println(err)
		return
	}
	table, err := builder.Build([]balancer.Host{{Name: "ide-1", Weight: 1}, {Name: "ide-2", Weight: 1}, {Name: "ide-3", Weight: 1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	down := table.Hosts()[table.Owner([]byte("alice"))].Name
	e := table.Explain([]byte("alice"), func(h balancer.Host) string {
		if h.Name == down {
			return "its checks fail"
		}
		return ""
	})
	for _, c := range e.Candidates {
		fmt.Printf("%s %s chosen=%t %q\n", table.Hosts()[c.Host].Name, c.Role, c.Chosen, c.WhyNot)
	}
	fmt.Println(e.Rule)
	// Output:
	// ide-1 owner chosen=false "its checks fail"
	// ide-3 successor chosen=true ""
	// ide-2 fallback chosen=false ""
	// fallback
}

// Compare says what would move if a host left and another joined.
func ExampleCompare() {
	builder, err := balancer.NewBuilder(balancer.Config{Policy: balancer.PolicyRendezvous})
	if err != nil {
		fmt.Println(err)
		return
	}
	hosts := []balancer.Host{{Name: "ide-1", Weight: 1}, {Name: "ide-2", Weight: 1}, {Name: "ide-3", Weight: 1}}
	changed, err := balancer.Change{Leave: []string{"ide-2"}}.Apply(hosts)
	if err != nil {
		fmt.Println(err)
		return
	}
	before, _ := builder.Build(hosts)
	after, err := builder.Build(changed)
	if err != nil {
		fmt.Println(err)
		return
	}
	m := balancer.Compare(before, after)
	fmt.Printf("%.1f %% move, ideal %.1f %% (%s)\n", 100*m.Moved, 100*m.Ideal, m.Method)
	for _, r := range m.Routes {
		fmt.Printf("%s to %s: %.1f %%\n", r.From, r.To, 100*r.Share)
	}
	// Output:
	// 33.3 % move, ideal 33.3 % (exact)
	// ide-2 to ide-1: 16.7 %
	// ide-2 to ide-3: 16.6 %
}
