package balancer_test

import (
	"fmt"

	"tokenring/balancer"
)

// A table is built from the hosts that may own keys; who of them is up at the
// moment is said at each look-up.
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

// The fallback of a key is where it goes for good when its host is taken out.
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
	// $.hash.policy: there is no policy "modulo"; known: consistent
	// $.hash.consistent.load: 0.9 is not in 1.05..10: a host may own at most this multiple of its fair share
}
