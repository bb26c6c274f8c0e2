package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"tokenring/handover"
)

// fakeGenerations answers a change when the test lets it.
type fakeGenerations struct {
	asked  chan handover.Change
	answer chan error
}

func newFakeGenerations() *fakeGenerations {
	return &fakeGenerations{make(chan handover.Change, 1), make(chan error, 1)}
}

func (f *fakeGenerations) Change(_ context.Context, c handover.Change) (handover.Result, error) {
	f.asked <- c
	err := <-f.answer
	return handover.Result{Generation: 2, Version: "v2"}, err
}

func (f *fakeGenerations) List(context.Context) ([]handover.Generation, error) {
	return []handover.Generation{{ID: 1, State: handover.StateServing}}, nil
}

// TestAChangeOfTheGenerationIsAnswered: each kind of failure has its status.
func TestAChangeOfTheGenerationIsAnswered(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	fake := newFakeGenerations()
	s.deps.Generations = fake
	for _, row := range []struct {
		path, body string
		want       handover.Change
		err        error
		status     int
		text       string
	}{
		{"/v1/reload", `{"yes":true}`, handover.Change{Yes: true}, nil, 200, `"generation":2`},
		{"/v1/upgrade", `{"binary":"/opt/lb"}`, handover.Change{Upgrade: true, Binary: "/opt/lb"}, nil, 200, `"version":"v2"`},
		{"/v1/reload", `{}`, handover.Change{}, &handover.Failure{Code: handover.FailedConfig, Detail: "lb.yaml:3"}, 422, "lb.yaml:3"},
		{"/v1/reload", `{}`, handover.Change{}, &handover.Failure{Code: handover.FailedConfirm, Detail: "it moves"}, 409, "it moves"},
		{"/v1/reload", `{}`, handover.Change{}, &handover.Failure{Code: handover.FailedRoom, Detail: "no memory"}, 507, "no memory"},
		{"/v1/reload", `{}`, handover.Change{}, errors.New("the parent has gone"), 502, "the parent has gone"},
	} {
		fake.answer <- row.err
		w := ask(s, http.MethodPost, row.path, row.body)
		if got := <-fake.asked; got != row.want {
			t.Errorf("%s %s: asked for %+v", row.path, row.body, got)
		}
		if w.Code != row.status || !strings.Contains(w.Body.String(), row.text) {
			t.Errorf("%s %s: got %d %s", row.path, row.body, w.Code, w.Body)
		}
	}
	if w := ask(s, http.MethodGet, "/v1/generations", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"state":"serving"`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	s.deps.Generations = nil
	if w := ask(s, http.MethodPost, "/v1/reload", "{}"); w.Code != 409 {
		t.Errorf("one process: got %d %s", w.Code, w.Body)
	}
	if w := ask(s, http.MethodGet, "/v1/generations", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"generations":[]`) {
		t.Errorf("one process: got %d %s", w.Code, w.Body)
	}
}

// TestAnEndingServerAnswersTheChangeThatEndsIt: the answer comes though the server has ended
// otherwise.
func TestAnEndingServerAnswersTheChangeThatEndsIt(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	fake := newFakeGenerations()
	s.deps.Generations = fake
	url, stop := start(t, s)
	answered := make(chan int, 1)
	go func() {
		r, err := http.NewRequest(http.MethodPost, url+"/v1/reload", strings.NewReader("{}"))
		if err != nil {
			answered <- 0
			return
		}
		r.Header.Set("Authorization", "Bearer "+s.deps.Token)
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-fake.asked
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until nobody is accepted any more
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			break
		}
		conn.Close()
	}
	fake.answer <- nil
	if status := <-answered; status != http.StatusOK {
		t.Errorf("got %d", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
