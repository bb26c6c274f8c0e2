package edge

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"tokenring/config"
	"tokenring/proxy/access"
	"tokenring/proxy/routing"
)

// accessRules are who may come, by the settings that say so: access, listen[0].access and the like.
type accessRules map[string]*access.Rules

// The settings of these rules.
const accessTop = "access"

func accessOfListener(i int) string { return fmt.Sprintf("listen[%d].access", i) }

func accessOfRoute(i int) string { return fmt.Sprintf("routes[%d].access", i) }

// openAccess opens all rules of a configuration.
func openAccess(cfg *config.Config) (accessRules, error) {
	all := accessRules{}
	configured := map[string]*access.Config{accessTop: cfg.Access}
	for i := range cfg.Listen {
		configured[accessOfListener(i)] = cfg.Listen[i].Access
	}
	for i := range cfg.Routes {
		configured[accessOfRoute(i)] = cfg.Routes[i].Access
	}
	for setting, c := range configured {
		rules, err := access.Open(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
		if rules != nil {
			all[setting] = rules
		}
	}
	return all, nil
}

// ofListener returns the rules for connections of a listener.
func (a accessRules) ofListener(i int) (rules []*access.Rules) {
	for _, setting := range []string{accessTop, accessOfListener(i)} {
		if r := a[setting]; r != nil {
			rules = append(rules, r)
		}
	}
	return rules
}

// routes returns routes with their rules.
func (a accessRules) routes(all []routing.Config) []routing.Config {
	all = slices.Clone(all)
	for i := range all {
		all[i].Rules = a[accessOfRoute(i)]
	}
	return all
}

// watchAccess reads the files of rules again when they change, until ctx ends.
func (e *Edge) watchAccess(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	for setting, rules := range e.access {
		all.Go(func() { rules.Follow(ctx, func(err error) { e.logChange(setting, err) }) })
	}
	return nil
}
