package hostlist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/rs/zerolog"

	"tokenring/route"
	"tokenring/statefile"
)

// FileName is the name of the file, in the state directory, that has the hosts that
// operators have added.
const FileName = "hosts.json"

// MaxAdded bounds the hosts that operators have added.
const MaxAdded = 4096

// A File is that file. Each change of the hosts is in it before it is in force.
type File struct {
	Written chan error // the result of each Write; of capacity 1

	path    string            // "" if there is no disk: then writes are confirmed all the same
	unknown statefile.Unknown // what a later version has written there
	wanted  chan []Host       // of capacity 1
}

// NewFile returns a File that isn't open.
func NewFile() *File {
	return &File{wanted: make(chan []Host, 1), Written: make(chan error, 1)}
}

// Open reads the file in dir, "" for none. found is false if there is none, or if it can't be
// believed: then it has been put aside, and that is logged. An error is a file that can't be
// read. Open must be called before Run.
func (f *File) Open(dir string, log zerolog.Logger) (hosts []Host, found bool, err error) {
	if dir == "" {
		return nil, false, nil
	}
	f.path = filepath.Join(dir, FileName)
	f.unknown, err = statefile.Load(f.path, func(b []byte) (u statefile.Unknown, err error) {
		hosts, u, err = Parse(b)
		found = err == nil
		return u, err
	})
	switch {
	case errors.Is(err, statefile.ErrLater):
		log.Error().Err(err).Msg("only a part of the hosts that operators have added may be known")
	case errors.Is(err, statefile.ErrCorrupt):
		log.Error().Err(err).Msg("the hosts that operators have added are forgotten")
	case err != nil:
		return nil, false, fmt.Errorf("read the hosts that operators have added: %w", err)
	}
	return hosts, found, nil
}

// Alarm returns the alarm about what in the file isn't in force, "" if all is.
func (f *File) Alarm() string { return f.unknown.Alarm(FileName) }

// Write has the file written with these hosts, and the result sent to Written. It must have
// been received before the next call. Write doesn't block.
func (f *File) Write(hosts []Host) { f.wanted <- hosts }

// Run writes the file until ctx ends.
func (f *File) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case hosts := <-f.wanted:
			f.Written <- f.save(hosts)
		}
	}
}

func (f *File) save(hosts []Host) error {
	if f.path == "" {
		return nil
	}
	b, err := Encode(hosts, f.unknown)
	if err != nil {
		return err
	}
	return statefile.Write(f.path, b)
}

// Added is a host that an operator has added.
type Added struct {
	route.Spec
	By route.Attribution `json:"listed_by,omitzero"`
}

// A savedHost is a host in the file.
type savedHost struct {
	Added
	Unknown string `json:"-"` // a JSON object of what a later version has added, "" for nothing
}

var savedFields = statefile.FieldNames[savedHost]()

// UnmarshalJSON implements json.Unmarshaler. It keeps unknown fields.
func (h *savedHost) UnmarshalJSON(b []byte) (err error) {
	if err = json.Unmarshal(b, &h.Added); err == nil {
		h.Unknown, err = statefile.UnknownFields(b, savedFields)
	}
	return err
}

// MarshalJSON implements json.Marshaler.
func (h savedHost) MarshalJSON() ([]byte, error) {
	return statefile.WithUnknown(h.Added, h.Unknown)
}

// check returns what is wrong with h, nil if nothing.
func (h savedHost) check() error {
	if !statefile.ValidTime(h.By.Since) {
		return fmt.Errorf("it was added at %s", h.By.Since)
	}
	e := route.HostEdit{Action: route.AddHost, Name: h.Name, Address: h.Address, Weight: &h.Weight, Zone: &h.Zone, Reason: h.By.Reason, By: h.By.By}
	if err := e.Check(); err != nil {
		return err
	}
	return statefile.CheckUnknown(h.Unknown)
}

// Parse returns the hosts in a file, and what else is in it.
func Parse(b []byte) (hosts []Host, _ statefile.Unknown, err error) {
	twice := map[string]bool{}
	u, err := statefile.ParseLists(b, map[string]func(json.RawMessage) error{
		"hosts": statefile.Entry(savedHost.check, func(h savedHost) {
			if !twice[h.Name] {
				hosts = append(hosts, Host{Spec: h.Spec, By: h.By, unknown: h.Unknown})
			}
			twice[h.Name] = true
		}),
	})
	if err == nil && len(hosts) > MaxAdded {
		err = fmt.Errorf("%d hosts, at most %d are possible", len(hosts), MaxAdded)
	}
	if err != nil {
		return nil, u, err
	}
	return hosts, u, nil
}

// Encode returns a file with the hosts and what else it is to hold.
func Encode(hosts []Host, u statefile.Unknown) ([]byte, error) {
	file := struct {
		Version int         `json:"version"`
		Hosts   []savedHost `json:"hosts"`
	}{statefile.Version, make([]savedHost, 0, len(hosts))}
	for _, h := range hosts {
		file.Hosts = append(file.Hosts, savedHost{Added{Spec: h.Spec, By: h.By}, h.unknown})
	}
	b, err := statefile.EncodeJSON(file)
	if err != nil {
		return nil, err
	}
	return u.AddTo(b)
}
