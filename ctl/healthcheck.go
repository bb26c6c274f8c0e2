package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"tokenring/config"
)

// maxHealthText bounds what is read of the answer to a health check, in bytes.
const maxHealthText = 4096

// A HealthCheck asks a balancer for its health. It sends no token, so it accepts any
// certificate.
type HealthCheck struct {
	Config  string        // the balancer's configuration file, which says where its admin endpoint is
	URL     string        // asks this URL instead; then Config isn't read
	Ready   bool          // asks whether the balancer takes traffic, not just whether it answers
	Timeout time.Duration // for the whole check
}

// Run returns nil if the balancer is healthy. The error says what is wrong.
func (h HealthCheck) Run(ctx context.Context) error {
	target, err := h.target()
	if err != nil {
		return err
	}
	c := newClient(target, "", "", &trust{anyCert: true})
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return c.unhealthy(err, h.Timeout)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxHealthText)) // only to say why
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers with %s: %.200q", target, resp.Status, bytes.TrimSpace(text))
	}
	return nil
}

// target returns the URL to ask.
func (h HealthCheck) target() (string, error) {
	if h.URL != "" {
		u, err := url.Parse(h.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", errors.New("--url: want a URL such as http://127.0.0.1:7000/healthz")
		}
		return h.URL, nil
	}
	access, err := config.LoadAccess(h.Config)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w\nname the balancer's file with -c, or what to ask with --url", err)
	case err != nil:
		return "", err
	case h.Ready:
		return urlOf(access) + "/readyz", nil
	}
	return urlOf(access) + "/healthz", nil
}

// unhealthy returns an error that says why there is no answer.
func (c *Client) unhealthy(err error, limit time.Duration) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer from %s within %v", c.base, limit)
	}
	return fmt.Errorf("no answer from %s: %w", c.base, err)
}
