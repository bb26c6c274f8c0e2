package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tokenring/admin"
	"tokenring/maintenance"
	"tokenring/notify"
	"tokenring/session"
	"tokenring/statefile"
)

// Maintenance is an operator's word for the whole region. The balancer that is told tells all that
// are connected, and whenever peers connect, both sides tell each other all that they know.

// buildMaintenance reads what was in maintenance when this balancer ran last.
func (e *Edge) buildMaintenance() error {
	e.peersChanged = notify.NewNote()
	var err error
	e.maintenance, err = maintenance.Open(e.cfg.StateDir)
	return e.putAside(err)
}

// putAside returns err, unless it says that a file was put aside: then it is logged.
func (e *Edge) putAside(err error) error {
	if errors.Is(err, statefile.ErrCorrupt) || errors.Is(err, statefile.ErrLater) {
		e.opt.Logger.Error().Err(err).Msg("what was in maintenance isn't any more")
		return nil
	}
	return err
}

// runMaintenance reads the file once more, in which the process before may have written last. Then
// it exchanges with peers what is in maintenance, until ctx ends.
func (e *Edge) runMaintenance(ctx context.Context) error {
	if err := e.putAside(e.maintenance.Reload()); err != nil {
		return err
	}
	for {
		_, _ = e.exchangeMaintenance(ctx)
		select {
		case <-e.peersChanged:
		case <-ctx.Done():
			return nil
		}
	}
}

// askMaintenance is the question by which balancers tell each other what is in maintenance. Both
// it and its answer are the JSON of all that a balancer knows.
const askMaintenance = "maintenance"

// exchangeMaintenance has all connected peers know what this balancer knows, and the reverse. It
// returns the names of those that do, and the others.
func (e *Edge) exchangeMaintenance(ctx context.Context) (told []string, missing []session.Missing) {
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, name := range e.connectedPeers() {
		asking.Go(func() {
			var known []maintenance.Switch
			err := e.ask(ctx, name, askMaintenance, e.maintenance.All(), &known)
			if err == nil {
				e.mergeMaintenance(name, known)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				missing = append(missing, session.Missing{Balancer: name, Why: err.Error()})
				return
			}
			told = append(told, name)
		})
	}
	asking.Wait()
	slices.Sort(told)
	return told, missing
}

// answerMaintenance takes what a peer knows, and tells what this balancer knows.
func (e *Edge) answerMaintenance(peer string, question []byte) ([]byte, error) {
	var known []maintenance.Switch
	if err := json.Unmarshal(question, &known); err != nil {
		return nil, err
	}
	e.mergeMaintenance(peer, known)
	return json.Marshal(e.maintenance.All())
}

func (e *Edge) mergeMaintenance(peer string, known []maintenance.Switch) {
	changed, err := e.maintenance.Merge(known)
	if err != nil {
		e.opt.Logger.Error().Err(err).Msg("what is in maintenance can't be kept")
	}
	if changed {
		e.opt.Logger.Info().Str("peer", peer).Strs("maintenance", e.maintenance.Alarms()).Msg("an operator of a peer has changed what is in maintenance")
	}
}

// setMaintenance begins or ends maintenance, here and on all connected balancers.
func (e *Edge) setMaintenance(ctx context.Context, one maintenance.Switch) (admin.MaintenanceSet, error) {
	known := slices.ContainsFunc(e.maintenance.Active(), func(other maintenance.Switch) bool { return other.Route == one.Route })
	if one.Route != "" && !slices.Contains(e.routeNames(), one.Route) && (one.On || !known) {
		return admin.MaintenanceSet{}, fmt.Errorf("%w %q: lb ctl routes lists them", admin.ErrNoSuchRoute, one.Route)
	}
	if _, err := e.maintenance.Set(one, time.Now()); err != nil {
		return admin.MaintenanceSet{}, err
	}
	done := admin.MaintenanceSet{By: []string{e.cfg.Name}}
	told, missing := e.exchangeMaintenance(ctx)
	done.By, done.Missing = append(done.By, told...), missing
	return done, nil
}

// routeNames returns the names of the routes.
func (e *Edge) routeNames() (names []string) {
	for i := range e.cfg.Routes {
		names = append(names, e.cfg.Routes[i].Label(i))
	}
	return names
}
