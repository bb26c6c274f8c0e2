//go:build integration

package hashing

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// inRing returns how many hosts lb has in its rings.
func (p *place) inRing(admin string) int {
	token, err := os.ReadFile(filepath.Join(p.dir, "state", "admin.token"))
	if err != nil {
		return -1
	}
	req, err := http.NewRequest("GET", "http://"+admin+"/v1/hosts", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	var answer struct {
		Hosts []struct {
			InRing bool `json:"in_ring"`
		} `json:"hosts"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return -1
	}
	count := 0
	for _, h := range answer.Hosts {
		if h.InRing {
			count++
		}
	}
	return count
}
