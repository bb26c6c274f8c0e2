package ctl

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJoinersAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"ide-9":               `{"name":"ide-9"}`,
		"ide-9=weight:2":      `{"name":"ide-9","weight":2}`,
		"ide-9=id:9,weight:2": `{"name":"ide-9","weight":2,"id":9}`,
		"=weight:2":           "there is no name",
		"ide-9=":              "neither a weight nor an id",
		"ide-9=weight:two":    `"two" is no weight`,
		"ide-9=id:-1":         `"-1" is no id`,
		"ide-9=size:3":        `"size:3" is neither a weight nor an id`,
	} {
		j, err := ParseJoin(text)
		got, _ := json.Marshal(j)
		if err != nil {
			got = []byte(err.Error())
		}
		if !strings.Contains(string(got), want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
