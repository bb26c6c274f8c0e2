package edge

import (
	"context"
	"fmt"
	"sync"

	"tokenring/config"
	"tokenring/proxy/basicauth"
	"tokenring/proxy/routing"
)

// basicUsers are the users of routes, by the settings that name them: routes[0].basic_auth.file and the
// like.
type basicUsers map[string]*basicauth.Users

func usersOfRoute(i int) string { return fmt.Sprintf("routes[%d].basic_auth.file", i) }

// openUsers opens the users of all routes.
func openUsers(cfg *config.Config) (basicUsers, error) {
	all := basicUsers{}
	for i, r := range cfg.Routes {
		users, err := basicauth.Open(r.BasicAuth)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", usersOfRoute(i), err)
		}
		if users != nil {
			all[usersOfRoute(i)] = users
		}
	}
	return all, nil
}

// into gives routes their users.
func (b basicUsers) into(all []routing.Config) []routing.Config {
	for i := range all {
		all[i].Users = b[usersOfRoute(i)]
	}
	return all
}

// watchUsers reads the files of users again when they change, until ctx ends.
func (e *Edge) watchUsers(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	for setting, users := range e.users {
		all.Go(func() { users.Follow(ctx, func(err error) { e.logChange(setting, err) }) })
	}
	return nil
}
