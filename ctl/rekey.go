package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"tokenring/route"
)

// A Rekey is what an operator says of the key by which balancers know a host.
type Rekey struct {
	Host       string
	Key        string // in base64; "" for the one with which the host was refused
	Forget     bool   // the next key with which it is announced is its key
	Reason, By string // for the other operators
}

// Check returns an error if r is wrong, as far as it can be checked without a balancer.
func (r Rekey) Check() error {
	if err := checkHost(r.Host); err != nil {
		return err
	}
	if r.Key == "" {
		return nil
	}
	if r.Forget {
		return errors.New("lb ctl rekey: --key sets a key and --forget forgets it: give one of them")
	}
	if _, err := route.ParseHostKey(r.Key); err != nil {
		return fmt.Errorf("lb ctl rekey: --key: %w; the host's agent logs it when it starts", err)
	}
	return nil
}

// rekeyed is the answer of the API.
type rekeyed struct {
	Name        string
	Key         string
	Fingerprint string
}

func (r rekeyed) sound() bool { return r.Name != "" }

// Rekey sends r, and writes the key that is known from now on.
func (c *Client) Rekey(ctx context.Context, r Rekey, out Output) error {
	body := map[string]any{}
	for name, text := range map[string]string{"key": r.Key, "reason": r.Reason, "by": r.By} {
		if text != "" {
			body[name] = text
		}
	}
	if r.Forget {
		body["forget"] = true
	}
	answer, err := c.call(ctx, http.MethodPost, "/v1/hosts/"+url.PathEscape(r.Host)+"/rekey", body, longCall)
	if errors.As(err, new(unanswered)) {
		return uncertain(err, "key", "lb ctl --format json hosts")
	}
	if err != nil {
		return err
	}
	return show(out, answer, func(out io.Writer, k rekeyed) error {
		if k.Key == "" {
			_, err := fmt.Fprintf(out, "the key of %s is forgotten: the next one with which it is announced is its key\n", k.Name)
			return err
		}
		_, err := fmt.Fprintf(out, "%s has the key %s (%s) from now on\n", k.Name, k.Key, k.Fingerprint)
		return err
	})
}
