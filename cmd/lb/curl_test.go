package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// curl does what README.md needs of the program curl, so that the commands can be tested
// on a machine without curl.
func curl() {
	if err := curlMain(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		os.Exit(1)
	}
}

func curlMain(args []string, out io.Writer) error {
	method, url, body, failing := "", "", "", false
	header := http.Header{}
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; arg {
		case "-s", "-k", "-sk":
		case "-f", "-fs", "-sf":
			failing = true
		case "-X", "-H", "-d":
			i++
			switch arg {
			case "-X":
				method = args[i]
			case "-d":
				body = args[i]
			case "-H":
				name, value, _ := strings.Cut(args[i], ":")
				header.Add(name, strings.TrimSpace(value))
			}
		default:
			if strings.HasPrefix(arg, "-") {
				return fmt.Errorf("this stand-in doesn't know %s", arg)
			}
			url = arg
		}
	}
	if method == "" {
		method = "GET"
		if body != "" {
			method = "POST"
		}
	}
	req, err := http.NewRequest(method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header = header
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if failing && resp.StatusCode >= 400 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	_, err = io.Copy(out, resp.Body)
	return err
}
