package peers

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/loglimit"
	"tokenring/notify"
	"tokenring/pool/votes"
	"tokenring/route"
)

// An Exchange has what a state exchange tells a peer, and what peers have told until it
// is taken. It is safe for concurrent use: a gossip calls it from its goroutines.
type Exchange struct {
	Received notify.Note // there is something to take
	Voted    notify.Note // there are verdicts to take
	Passed   notify.Note // there are announcements to take

	pool     string // whose part of an Exchange it is; "" for the whole
	log      zerolog.Logger
	failures loglimit.Limiter

	mu      sync.Mutex
	ours    newestOf
	entries map[string]bool // of ours
	inbox   newestOf
	count   [classes]int // of the inbox

	verdicts []json.RawMessage // ours, encoded
	said     []votes.Entry     // the verdicts of peers that aren't taken yet

	passedOn      []json.RawMessage // announcements of hosts, encoded
	announcements [][]byte          // those of peers that aren't taken yet

	pools
	digested []notify.Note // see NotePoolDigests
}

// NewExchange returns an Exchange that tells nothing yet.
func NewExchange(log zerolog.Logger) *Exchange {
	return &Exchange{Received: notify.NewNote(), Voted: notify.NewNote(), Passed: notify.NewNote(), log: log, ours: newestOf{}, entries: map[string]bool{}, inbox: newestOf{}}
}

// Hold has state exchanges tell registers, in the place of earlier ones on their
// topics.
func (e *Exchange) Hold(registers ...Register) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range registers {
		delete(e.entries, e.ours[r.Topic].entry)
		e.ours.add(r)
		e.entries[e.ours[r.Topic].entry] = true
	}
}

// Drop has state exchanges tell nothing any more of topics.
func (e *Exchange) Drop(topics ...Topic) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, topic := range topics {
		delete(e.entries, e.ours[topic].entry)
		delete(e.ours, topic)
	}
}

// State returns the message with all that Hold was given, and what Say and PassOn were. It is put together from what
// is encoded already. If that is more than limit bytes, it is a part that fits, another one
// each time, so that peers learn all of it from several exchanges.
func (e *Exchange) State(limit int) []byte {
	var registers []Register
	var verdicts, poolVerdicts, passedOn []json.RawMessage
	for _, part := range e.all() {
		part.mu.Lock()
		for _, r := range part.ours {
			registers = append(registers, r)
		}
		if part.pool == "" {
			verdicts = part.verdicts
		} else {
			poolVerdicts = append(poolVerdicts, part.verdicts...)
		}
		passedOn = append(passedOn, part.passedOn...)
		part.mu.Unlock()
	}
	e.mu.Lock()
	digests := e.ownDigestsLocked()
	e.mu.Unlock()
	for _, b := range slices.Concat(verdicts, poolVerdicts, digests, passedOn) {
		limit -= len(b) + 32 // with its comma, and some of the lists' names
	}
	sortByTopic(registers)
	if size := encodedSize(registers); size > limit {
		e.warn("size", time.Now(), fmt.Errorf("%d bytes, at most %d are possible", size, limit), "what peers are told doesn't fit into one exchange of state: they get it in parts")
		registers = partOf(registers, limit)
	}
	message := withList(EncodeMessage(registers...), listVerdicts, verdicts)
	message = withList(withList(message, listPoolVerdicts, poolVerdicts), listPoolDigests, digests)
	return withList(message, listAnnouncements, passedOn)
}

// partOf returns as many registers as fit into limit bytes: those that follow one of them,
// which is chosen at random.
func partOf(all []Register, limit int) (part []Register) {
	at, size := rand.IntN(len(all)), encodedSize(nil)
	for i := range all {
		next := all[(at+i)%len(all)]
		if size += len(next.entry) + 1; size > limit {
			break
		}
		part = append(part, next)
	}
	return part
}

// Take returns what peers have told since the last Take, sorted by topic. Of each topic
// it is the register with the greatest version.
func (e *Exchange) Take() []Register {
	e.mu.Lock()
	taken := e.inbox
	e.inbox, e.count = newestOf{}, [classes]int{}
	e.mu.Unlock()
	return taken.list()
}

// Receive takes in a message or a state of a peer. It keeps no part of b. What it
// doesn't take is logged, rarely.
func (e *Exchange) Receive(b []byte) {
	now := time.Now()
	m, err := DecodeMessage(b, e.holds)
	switch {
	case err != nil:
		e.warn("message", now, err, "a peer's overrides can't be read")
		return
	case m.Kind != messageRegisters:
		e.warn(fmt.Sprintf("kind %.40q", m.Kind), now, fmt.Errorf("a message of the kind %.40q", m.Kind), "a peer's message isn't understood: it may be of a later version of lb")
		return
	case m.Version > formatVersion:
		e.warn("version", now, fmt.Errorf("a message of version %d, this software knows %d", m.Version, formatVersion), "a peer is of a later version of lb: what is understood is taken")
	}
	for _, r := range m.Refused {
		e.refuse(r.Host, now, r.Err)
	}
	e.admitVerdicts(m.Verdicts)
	for _, v := range m.PoolVerdicts {
		if part := e.parts[v.Pool]; part != nil { // else this balancer has no such pool
			part.admitVerdicts([]votes.Entry{v.Entry})
		}
	}
	e.admitDigests(m.poolDigests)
	for _, part := range e.all() {
		part.admitAnnouncements(m.Announcements)
	}
	for _, r := range m.Registers {
		if err := e.partOf(r.Topic.Key).admit(r, now); err != nil {
			e.refuse(r.Topic.Key, now, err)
		}
	}
}

// holds reports whether a register that is held is encoded so. Most of a state exchange
// is, and needs no second look.
func (e *Exchange) holds(entry []byte) bool {
	for _, part := range e.all() {
		part.mu.Lock()
		held := part.entries[string(entry)]
		part.mu.Unlock()
		if held {
			return true
		}
	}
	return false
}

// admit puts a register into the inbox if it counts more than what is held. It is an
// error if nothing could ever count after it, or if too many wait.
func (e *Exchange) admit(r Register, now time.Time) error {
	if o, ok := r.Override(); ok {
		if err := o.checkOverrulable(now); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if held, ok := e.ours[r.Topic]; ok && r.Version.Compare(held.Version) <= 0 {
		return nil
	}
	if _, ok := e.inbox[r.Topic]; !ok {
		class := r.Topic.Kind.class()
		if waiting := e.count[class]; waiting >= limits[class] {
			return fmt.Errorf("%d others wait to be taken in", waiting)
		}
		e.count[class]++
	}
	e.inbox.add(r)
	e.Received.Leave()
	return nil
}

// refuse logs what a peer says about a host and isn't taken, each host rarely.
func (e *Exchange) refuse(host string, now time.Time, why error) {
	host = strings.ToValidUTF8(host[:min(len(host), route.MaxName)], "?")
	if f, log := e.failures.Add("host "+host, now); log {
		f.On(e.log.Warn()).Str("host", host).Err(why).Msg("what a peer says about a host isn't taken")
	}
}

func (e *Exchange) warn(key string, now time.Time, err error, text string) {
	if f, log := e.failures.Add(key, now); log {
		f.On(e.log.Warn()).Err(err).Msg(text)
	}
}
