package fields

import "strconv"

// HSTS is `hsts`: browsers use TLS only, for a time. Answers over TLS say so (RFC 6797 §7.1).
type HSTS struct {
	MaxAge            *int64 `yaml:"max_age"`            // seconds; 0 makes browsers forget it; never nil in a checked Config
	IncludeSubdomains bool   `yaml:"include_subdomains"` // names below the one asked for, too
	Preload           bool   `yaml:"preload"`            // it may be put into browsers' own lists
}

// Preloads is the least MaxAge with which browsers' lists take a name.
const Preloads = 31536000

// Config returns the changes that h makes on a listener with TLS, or without it: there answers don't
// have the field, nor a host's (RFC 6797 §7.2). It is nil if h is nil.
func (h *HSTS) Config(tls bool) *Config {
	if h == nil {
		return nil
	}
	if !tls {
		return &Config{Response: Changes{Remove: []string{"Strict-Transport-Security"}}}
	}
	text := "max-age=" + strconv.FormatInt(*h.MaxAge, 10)
	if h.IncludeSubdomains {
		text += "; includeSubDomains"
	}
	if h.Preload {
		text += "; preload"
	}
	return &Config{Response: Changes{Set: Values{{"Strict-Transport-Security", text}}}}
}
