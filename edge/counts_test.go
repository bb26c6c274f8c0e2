package edge

import (
	"testing"

	"tokenring/counters"
)

// TestALateAnswerOfAnEndedGenerationCountsOnce: its last numbers may come by its last notice
// and by an answer that is read after its end.
func TestALateAnswerOfAnEndedGenerationCountsOnce(t *testing.T) {
	c, o := newCounts(), &older{id: 1}
	counted := counters.Counts{{Name: "lb_requests_total", Value: 7}}
	c.update(o, counted)
	c.end(o)
	c.update(o, counted)
	if sum := c.sum(); len(sum) != 1 || sum[0].Value != 7 {
		t.Errorf("got %v, want 7", sum)
	}
}
