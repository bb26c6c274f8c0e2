package pool

import (
	"testing"

	"tokenring/balancer"
)

func TestRingsOfThePastWaitForThatOfToday(t *testing.T) {
	b, err := newBuilder(small)
	if err != nil {
		t.Fatal(err)
	}
	all := []balancer.Host{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}, {Name: "c", Weight: 1}}
	made := b.build(order{1, all, [][]balancer.Host{all[:2], all[:1]}})
	if made.err != nil || len(made.before) > 0 {
		t.Fatalf("got %+v", made)
	}
	whole := b.buildPast(made)
	if len(whole.before) != 2 || len(whole.before[0].Hosts()) != 2 || len(whole.before[1].Hosts()) != 1 || whole.table != made.table {
		t.Errorf("got %+v", whole)
	}
	if again := b.build(order{2, all, nil}); again.table != made.table {
		t.Error("the table of the same hosts was built twice")
	}
	b.ask(order{3, all[1:], nil})
	if left := b.buildPast(made); len(left.before) > 0 {
		t.Errorf("%d rings of the past were built before that of today", len(left.before))
	}
}
