package handed

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/peers"
	"tokenring/pool/votes"
	"tokenring/ringlog"
	"tokenring/route"
)

// A Decoded is a State with its large parts as a pool has them. To encode these takes long:
// the goroutine of a pool has something better to do, so Encode is for another one, and
// nobody changes the parts any more.
type Decoded struct {
	State
	Known     []peers.Register
	Votes     []votes.Entry      // of other balancers
	InForce   *balancer.Table    // nil if the configuration of this process makes others
	LastOrder []balancer.Host    // of a table
	History   []route.FormerRing // the exact ones
	Recorded  *ringlog.Log       // nil if the other process records none
}

// Encode returns the State with its large parts.
func (d Decoded) Encode() State {
	s := d.State
	s.Registers = peers.EncodeMessage(d.Known...)
	s.Verdicts = peers.EncodeAllVerdicts(d.Votes)
	s.Table.TableState = d.InForce.State()
	if d.Recorded != nil && d.Recorded.Len() > 0 {
		s.Rings, _ = json.Marshal(d.Recorded) // numbers and texts alone
	}
	if !slices.Equal(d.LastOrder, d.InForce.Hosts()) {
		s.Ring = new(balancer.NewHostList(d.LastOrder))
	}
	for _, f := range d.History {
		if f.Exact && f.Table != d.InForce {
			s.Former = append(s.Former, Table{TableState: f.Table.State()})
		}
	}
	return s
}

// Decode returns s with its large parts. It leaves out what can't be decoded, and tables that
// tables doesn't make; the log says what.
func Decode(s State, tables *balancer.Builder, log zerolog.Logger) Decoded {
	d := Decoded{State: s}
	if len(s.Registers) > 0 {
		m, err := peers.DecodeMessage(s.Registers, nil)
		if err != nil || len(m.Refused) > 0 {
			log.Error().Err(err).Int("refused", len(m.Refused)).Msg("not all that was overridden and learned can be taken over from the other process")
		}
		d.Known = m.Registers
	}
	d.Votes = peers.DecodeVerdicts(s.Verdicts)
	d.Hosts = slices.DeleteFunc(slices.Clone(s.Hosts), func(h Host) bool { return route.CheckHostName(h.Name) != nil })
	d.decodeTables(tables, log)
	d.decodeRings(log)
	return d
}

// decodeRings sets what the ring was.
func (d *Decoded) decodeRings(log zerolog.Logger) {
	if len(d.Rings) == 0 {
		return
	}
	recorded := new(ringlog.Log)
	if err := json.Unmarshal(d.Rings, recorded); err != nil {
		log.Error().Err(err).Msg("what the ring was can't be taken over from the other process")
		return
	}
	d.Recorded = recorded
}

// decodeTables sets the tables, and the last order.
func (d *Decoded) decodeTables(tables *balancer.Builder, log zerolog.Logger) {
	var err error
	if d.InForce, err = tables.Restore(d.Table.TableState); err != nil && !errors.Is(err, balancer.ErrNotRestored) {
		log.Info().Err(err).Msg("the ring of the other process isn't taken over, but built")
	}
	list := d.Table.HostList
	if d.Ring != nil {
		list = *d.Ring
	}
	if d.LastOrder, err = list.Hosts(); err != nil {
		log.Error().Err(err).Msg("the last order of the other process can't be taken over")
	}
	for _, s := range d.Former {
		if t, err := tables.Restore(s.TableState); err == nil {
			d.History = append(d.History, route.FormerRing{Hosts: t.Hosts(), Table: t, Exact: true})
		}
	}
}
