package stream

import (
	"encoding/binary"
	"fmt"
	"math"

	"tokenring/route"
	"tokenring/session"
)

const (
	maxHosts   = 8192     // that have a number at a time
	maxAddress = 300      // in bytes, of a host
	frameAim   = 12 << 10 // in bytes, from which on a frame of reports ends
	minReport  = 19       // bytes of the least record of a report
	minHost    = 3        // bytes of the least record of a host
	maxRecords = maxPayload / minHost
)

// The flags of a report.
const (
	reportHashed = 1 << iota // it has the key's hash
	reportHost               // it has a host
	reportAge                // it has the key's age
)

// A reportEncoder turns reports into frames. It gives each host with its address a number,
// which it tells before it uses it. When all numbers are in use, it begins anew.
type reportEncoder struct {
	numbers map[route.Endpoint]uint64
	hosts   records
	reports records
	record  []byte
	payload []byte
}

func newReportEncoder() *reportEncoder {
	return &reportEncoder{numbers: map[route.Endpoint]uint64{}}
}

// encode calls frame with the payload of each frame of reports, which is valid during the
// call, and with how many reports it has.
func (e *reportEncoder) encode(reports []session.Report, frame func(kind byte, payload []byte, reports int)) {
	for i := range reports {
		if len(e.numbers) >= maxHosts {
			e.finish(frame)
			clear(e.numbers)
		}
		e.add(&reports[i])
		if len(e.reports.b) >= frameAim || len(e.hosts.b) >= frameAim {
			e.finish(frame)
		}
	}
	e.finish(frame)
}

// finish ends the frames of the records that there are.
func (e *reportEncoder) finish(frame func(kind byte, payload []byte, reports int)) {
	if e.hosts.n > 0 {
		e.payload = e.hosts.take(e.payload[:0])
		frame(kindHosts, e.payload, 0)
	}
	if n := e.reports.n; n > 0 {
		e.payload = e.reports.take(e.payload[:0])
		frame(kindReports, e.payload, n)
	}
}

// add adds the record of a report, and that of its host if it is new.
func (e *reportEncoder) add(r *session.Report) {
	b, flags := append(e.record[:0], r.Digest[:]...), uint64(0)
	if r.Hashed {
		flags |= reportHashed
	}
	if r.Host != "" {
		flags |= reportHost
	}
	if r.Age != 0 {
		flags |= reportAge
	}
	b = binary.AppendUvarint(b, flags)
	b = binary.AppendUvarint(b, uint64(r.Terminals))
	if r.Host != "" {
		b = binary.AppendUvarint(b, e.number(route.Endpoint{Name: r.Host, Address: r.Address}))
	}
	if r.Hashed {
		b = binary.BigEndian.AppendUint64(b, r.Hash)
	}
	if r.Age != 0 {
		b = binary.AppendUvarint(b, uint64(r.Age))
	}
	e.reports.add(b)
	e.record = b
}

// number returns the number of a host.
func (e *reportEncoder) number(at route.Endpoint) uint64 {
	if n, ok := e.numbers[at]; ok {
		return n
	}
	n := uint64(len(e.numbers))
	e.numbers[at] = n
	var room [400]byte
	b := binary.AppendUvarint(room[:0], n)
	e.hosts.add(appendText(appendText(b, at.Name), at.Address))
	return n
}

// records are the records of one frame, each with its length before it.
type records struct {
	n int
	b []byte
}

func (r *records) add(record []byte) {
	r.n++
	r.b = appendText(r.b, record)
}

// take appends the records to a payload, with their number before them, and removes them.
func (r *records) take(payload []byte) []byte {
	payload = append(binary.AppendUvarint(payload, uint64(r.n)), r.b...)
	r.n, r.b = 0, r.b[:0]
	return payload
}

// A reportDecoder reads the frames of a reportEncoder. Its memory is bounded: by maxHosts,
// and by the reports of one frame.
type reportDecoder struct {
	hosts   []route.Endpoint // by number
	reports []session.Report // of the last frame
}

// readHosts takes a frame of hosts into account.
func (d *reportDecoder) readHosts(payload []byte) error {
	f := fields{rest: payload}
	for range f.number(maxRecords) {
		record := f.record()
		n := int(record.number(maxHosts - 1))
		at := route.Endpoint{Name: string(record.text(route.MaxName)), Address: string(record.text(maxAddress))}
		switch {
		case f.err != nil:
			return fmt.Errorf("hosts: %w", f.err)
		case record.err != nil:
			return fmt.Errorf("a host: %w", record.err)
		case n > len(d.hosts):
			return fmt.Errorf("host %d comes after %d", n, len(d.hosts)-1)
		}
		if err := checkEndpoint(at); err != nil {
			return fmt.Errorf("a host: %w", err)
		}
		if n == len(d.hosts) {
			d.hosts = append(d.hosts, at)
		}
		d.hosts[n] = at
	}
	return f.err
}

func checkEndpoint(at route.Endpoint) error {
	if err := route.CheckHostName(at.Name); err != nil {
		return err
	}
	for i := range len(at.Address) {
		if c := at.Address[i]; c <= ' ' || c > '~' {
			return fmt.Errorf("%q isn't an address", at.Address)
		}
	}
	return nil
}

// readReports returns the reports of a frame. They are valid until it is called again.
func (d *reportDecoder) readReports(payload []byte) ([]session.Report, error) {
	f := fields{rest: payload}
	d.reports = d.reports[:0]
	for range f.number(maxPayload / minReport) {
		record := f.record()
		if f.err != nil {
			return nil, fmt.Errorf("reports: %w", f.err)
		}
		r, err := d.readReport(&record)
		if err != nil {
			return nil, fmt.Errorf("a report: %w", err)
		}
		d.reports = append(d.reports, r)
	}
	if f.err != nil {
		return nil, fmt.Errorf("reports: %w", f.err)
	}
	return d.reports, nil
}

func (d *reportDecoder) readReport(record *fields) (r session.Report, err error) {
	copy(r.Digest[:], record.bytes(len(r.Digest)))
	flags := record.number(math.MaxUint64)
	r.Terminals = int32(record.number(math.MaxInt32))
	if flags&reportHost != 0 {
		n := record.number(maxHosts - 1)
		if record.err == nil && n >= uint64(len(d.hosts)) {
			return r, fmt.Errorf("its host has the number %d, which wasn't told", n)
		}
		if record.err == nil {
			r.Host, r.Address = d.hosts[n].Name, d.hosts[n].Address
		}
	}
	if flags&reportHashed != 0 {
		r.Hash, r.Hashed = record.fixed64(), true
	}
	if flags&reportAge != 0 {
		r.Age = uint32(record.number(math.MaxUint32))
	}
	if record.err == nil && r.Terminals > 0 && r.Host == "" {
		return r, fmt.Errorf("%d terminals on no host", r.Terminals)
	}
	return r, record.err
}
