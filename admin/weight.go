package admin

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/pool"
)

// A weight is the member "weight" of a change to a host. As in RFC 7396, null
// takes an operator's weight away, and a member that is missing changes nothing:
// its zero value.
type weight struct {
	decided *int // as in pool.Decision
}

// UnmarshalJSON implements json.Unmarshaler.
func (w *weight) UnmarshalJSON(text []byte) error {
	w.decided = new(pool.OwnWeight)
	if string(text) == "null" {
		return nil
	}
	var number float64 // 3.0 is an integer, too
	err := json.Unmarshal(text, &number)
	*w.decided = int(number)
	return err
}

// Schema implements huma.SchemaProvider. huma refuses by it what is no such number
// before it is decoded.
func (weight) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeInteger, Minimum: new(0.0), Maximum: new(256.0), Nullable: true}
}

// weightName writes a weight of a pool.Decision for a log.
func weightName(weight int) string {
	if weight == pool.OwnWeight {
		return "own"
	}
	return strconv.Itoa(weight)
}

// A wordBody is who decided something.
type wordBody struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// wordOf returns nil for nobody's word.
func wordOf(w pool.Word) *wordBody {
	if w == (pool.Word{}) {
		return nil
	}
	return &wordBody{By: w.By, Reason: w.Reason, Since: w.Since}
}
