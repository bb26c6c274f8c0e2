package localreply

import (
	"strconv"
	"strings"

	"tokenring/http1"
)

// prefersHTML reports whether a request with these fields asks for an HTML page (RFC 9110
// §12.5.1): it names the type, and doesn't name JSON before it or with a greater weight. What it
// accepts by a wildcard alone isn't asked for: so do programs.
func prefersHTML(request []http1.Field) bool {
	html, data := 0.0, 0.0
	for i := range request {
		if f := &request[i]; f.Kind != http1.KindAccept {
			continue
		}
		for item := range strings.SplitSeq(string(request[i].Value), ",") {
			name, parameters, _ := strings.Cut(item, ";")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "text/html":
				if html = max(html, weight(parameters)); data >= html {
					html = 0 // JSON came first
				}
			case "application/json":
				data = max(data, weight(parameters))
			}
		}
	}
	return html > 0 && html >= data
}

// weight returns the weight among the parameters of a media range: 0 to 1, and 0 if it can't be
// read.
func weight(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}
