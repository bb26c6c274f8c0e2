// Package problem has the answers of HTTP APIs to requests that they can't serve: problem
// details (RFC 9457).
package problem

import (
	"encoding/json"
	"net/http"
)

// details are the members that an answer has. There is no type: the status says it.
type details struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// Write answers with a status, and with what is wrong in a sentence.
func Write(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(details{http.StatusText(status), status, detail}) // an error means that the client has gone
}
