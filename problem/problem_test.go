package problem

import (
	"net/http/httptest"
	"testing"
)

func TestAProblemSaysItsStatusAndWhatIsWrong(t *testing.T) {
	w := httptest.NewRecorder()
	Write(w, 404, `no "x"`)
	if got, want := w.Body.String(), `{"title":"Not Found","status":404,"detail":"no \"x\""}`+"\n"; w.Code != 404 || got != want || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %q of %s, want %q", w.Code, got, w.Header().Get("Content-Type"), want)
	}
}
