// Package counters adds up what several processes of a balancer have counted, so that its
// metrics don't begin anew when one process takes the place of another.
package counters

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// prefix is of the metrics that are added up. Those of the Go runtime and of the operating
// system are about one process.
const prefix = "lb_"

// added are the gauges whose values in living processes add up. The other gauges are of the
// process that serves: it knows all hosts and all sessions.
var added = map[string]bool{
	"lb_connections":           true,
	"lb_connections_parked":    true,
	"lb_connections_relayed":   true,
	"lb_host_in_flight":        true,
	"lb_http2_further_streams": true,
	"lb_tunnels":               true,
}

// Counts are the values of one process, or sums of several. They are meant for JSON. They are
// immutable.
type Counts []Series

// A Series is a counter, a histogram or a gauge with its labels.
type Series struct {
	Name   string   `json:"n"`
	Labels []string `json:"l,omitempty"` // names and values in turn, sorted by name
	Gauge  bool     `json:"g,omitempty"`
	Value  float64  `json:"v,omitempty"` // of a histogram: the sum
	Bounds []Bucket `json:"b,omitempty"` // of a histogram; else nil
	Count  uint64   `json:"c,omitempty"` // of a histogram
}

// A Bucket is how many values of a histogram are up to a bound.
type Bucket struct {
	UpTo  float64 `json:"u"`
	Count uint64  `json:"c"`
}

// Take returns what g has counted.
func Take(g prometheus.Gatherer) (Counts, error) {
	families, err := g.Gather()
	if err != nil {
		return nil, err
	}
	return countsOf(families), nil
}

func countsOf(families []*dto.MetricFamily) (all Counts) {
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), prefix) || f.GetType() == dto.MetricType_GAUGE && !added[f.GetName()] {
			continue
		}
		for _, m := range f.Metric {
			if s, ok := seriesOf(f.GetName(), m); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

// seriesOf returns a metric as a Series. It returns false for one that is zero and for other
// types.
func seriesOf(name string, m *dto.Metric) (Series, bool) {
	s := Series{Name: name, Labels: labelsOf(m)}
	switch {
	case m.Counter != nil:
		s.Value = m.Counter.GetValue()
	case m.Gauge != nil:
		s.Gauge, s.Value = true, m.Gauge.GetValue()
	case m.Histogram != nil:
		s.Value, s.Count = m.Histogram.GetSampleSum(), m.Histogram.GetSampleCount()
		for _, b := range m.Histogram.Bucket {
			s.Bounds = append(s.Bounds, Bucket{b.GetUpperBound(), b.GetCumulativeCount()})
		}
	}
	return s, s.Value != 0 || s.Count != 0
}

// labelsOf returns the labels of a metric, names and values in turn.
func labelsOf(m *dto.Metric) []string {
	pairs := slices.SortedFunc(slices.Values(m.Label), func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
	labels := make([]string, 0, 2*len(pairs))
	for _, p := range pairs {
		labels = append(labels, p.GetName(), p.GetValue())
	}
	return labels
}

// id identifies a series among those of all processes.
func (s *Series) id() string { return s.Name + "\x00" + strings.Join(s.Labels, "\x00") }

// Ended returns c without the gauges: what is left of a process that has ended.
func (c Counts) Ended() Counts {
	return slices.DeleteFunc(slices.Clone(c), func(s Series) bool { return s.Gauge })
}

// By returns the values of a counter or gauge by the values of one of its labels.
func (c Counts) By(label, name string) map[string]float64 {
	values := map[string]float64{}
	for _, s := range c {
		if s.Name != name {
			continue
		}
		for i := 0; i+1 < len(s.Labels); i += 2 {
			if s.Labels[i] == label {
				values[s.Labels[i+1]] += s.Value
			}
		}
	}
	return values
}

// Sum adds Counts up.
func Sum(all ...Counts) Counts {
	sums := map[string]Series{}
	for _, c := range all {
		for _, s := range c {
			sums[s.id()] = plus(sums[s.id()], s)
		}
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b Series) int { return cmp.Compare(a.id(), b.id()) })
}

// plus adds s to sum, which may be the zero value. Histograms with other bounds, of another
// version, count only in the number and the sum.
func plus(sum, s Series) Series {
	if sum.Name == "" {
		return s
	}
	sum.Value += s.Value
	sum.Count += s.Count
	bounds := slices.Clone(sum.Bounds)
	for i := range bounds {
		if j := slices.IndexFunc(s.Bounds, func(b Bucket) bool { return b.UpTo == bounds[i].UpTo }); j >= 0 {
			bounds[i].Count += s.Bounds[j].Count
		}
	}
	sum.Bounds = bounds
	return sum
}

// A Merged gathers the metrics of this process with what other processes have counted. It is
// safe for concurrent use.
type Merged struct {
	Own    prometheus.Gatherer
	Others func() Counts // their sum
	Shown  func(Counts)  // gets the part of this process before Gather returns; may be nil
}

// Gather implements prometheus.Gatherer.
func (m Merged) Gather() ([]*dto.MetricFamily, error) {
	families, err := m.Own.Gather()
	if m.Shown != nil {
		m.Shown(countsOf(families))
	}
	others := map[string][]Series{}
	for _, s := range m.Others() {
		others[s.Name] = append(others[s.Name], s)
	}
	for _, f := range families {
		merge(f, others[f.GetName()])
		delete(others, f.GetName())
	}
	for name, series := range others { // this process has counted nothing of that kind yet
		f := &dto.MetricFamily{Name: new(name), Type: new(typeOf(series[0])), Help: new("Counted by other processes of this balancer.")}
		merge(f, series)
		families = append(families, f)
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return families, err
}

func typeOf(s Series) dto.MetricType {
	switch {
	case s.Gauge:
		return dto.MetricType_GAUGE
	case s.Bounds != nil:
		return dto.MetricType_HISTOGRAM
	}
	return dto.MetricType_COUNTER
}

// merge adds the series of other processes to a family of this one. A type that has changed
// between versions is left as it is here.
func merge(f *dto.MetricFamily, others []Series) {
	if len(others) == 0 {
		return
	}
	own := make(map[string]*dto.Metric, len(f.Metric))
	for _, m := range f.Metric {
		s := Series{Name: f.GetName(), Labels: labelsOf(m)}
		own[s.id()] = m
	}
	for _, s := range others {
		m := own[s.id()]
		if m == nil {
			m = &dto.Metric{Label: pairs(s.Labels)}
			f.Metric = append(f.Metric, m)
		}
		addTo(m, f.GetType(), s)
	}
}

// addTo adds a series to a metric of a type.
func addTo(m *dto.Metric, t dto.MetricType, s Series) {
	switch {
	case t == dto.MetricType_COUNTER && !s.Gauge && s.Bounds == nil:
		m.Counter = &dto.Counter{Value: new(m.Counter.GetValue() + s.Value), CreatedTimestamp: m.Counter.GetCreatedTimestamp()}
	case t == dto.MetricType_GAUGE && s.Gauge:
		m.Gauge = &dto.Gauge{Value: new(m.Gauge.GetValue() + s.Value)}
	case t == dto.MetricType_HISTOGRAM && s.Bounds != nil:
		own, _ := seriesOf(s.Name, m)
		sum := s
		if own.Bounds != nil {
			sum = plus(own, s)
		}
		m.Histogram = histogram(sum)
	}
}

func histogram(s Series) *dto.Histogram {
	h := &dto.Histogram{SampleCount: new(s.Count), SampleSum: new(s.Value)}
	for _, b := range s.Bounds {
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(b.UpTo), CumulativeCount: new(b.Count)})
	}
	return h
}

func pairs(labels []string) (all []*dto.LabelPair) {
	for i := 0; i+1 < len(labels); i += 2 {
		all = append(all, &dto.LabelPair{Name: new(labels[i]), Value: new(labels[i+1])})
	}
	return all
}
