package localreply

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"strings"

	"tokenring/http1"
)

// The built-in page of a 503 retries by itself: later each time, and not all browsers at the
// same moment. Without scripts it does so as well, at an even pace. It loads its own address
// anew, which it neither reads nor shows, because the address may hold the key.

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em;color-scheme:light dark}small{opacity:.6}`

// retry remembers in the tab how often it has retried. Ten minutes later it begins anew.
const retry = `(function(){
var key="lb-retries",now=Date.now(),past={n:0,at:0};
try{past=JSON.parse(sessionStorage.getItem(key))||past}catch(e){}
var n=now-past.at<600000?past.n:0;
var base=Number(document.documentElement.dataset.retry)||2;
var wait=Math.min(60,base*Math.pow(2,Math.min(n,8)))*(500+500*Math.random());
setTimeout(function(){
try{sessionStorage.setItem(key,JSON.stringify({n:n+1,at:Date.now()}))}catch(e){}
location.reload();
},wait);
})();`

// policy is the Content-Security-Policy of built-in pages: nothing runs but what is above.
var policy = "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + source(style) + "; script-src " + source(retry)

func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// html returns the built-in page. It retries only if the request may be repeated: the page of a
// form that was sent would send it again.
func (a *answer) html(repeats bool) string {
	var again, head, foot string
	if repeats && a.Status == 503 && a.wait > 0 {
		again = fmt.Sprintf(` data-retry="%d"`, a.wait)
		head = fmt.Sprintf("<noscript><meta http-equiv=\"refresh\" content=\"%d\"></noscript>\n", a.wait)
		foot = "<p>This page tries again by itself.</p>\n<script>" + retry + "</script>\n"
	}
	title := http1.StatusText(a.Status)
	switch a.Kind {
	case Awaited:
		title = "Your machine is on its way"
	case Maintenance:
		title = "Down for maintenance"
	}
	return fmt.Sprintf(page, again, head, a.Status, html.EscapeString(title), style, html.EscapeString(sentence(a.Detail)), html.EscapeString(a.id), foot)
}

const page = `<!doctype html>
<html lang="en"%[1]s><meta charset="utf-8"><meta name="viewport" content="width=device-width">
%[2]s<title>%[3]d %[4]s</title>
<style>%[5]s</style>
<h1>%[4]s</h1>
<p>%[6]s</p>
<p><small>%[3]d · request %[7]s</small></p>
%[8]s`

// fill returns a template with its variables replaced.
func (a *answer) fill(template string) string {
	wait := ""
	if a.wait > 0 {
		wait = fmt.Sprint(a.wait)
	}
	return strings.NewReplacer(
		"{status}", fmt.Sprint(a.Status),
		"{reason}", html.EscapeString(http1.StatusText(a.Status)),
		"{detail}", html.EscapeString(sentence(a.Detail)),
		"{request_id}", html.EscapeString(a.id),
		"{retry_after}", wait,
	).Replace(template)
}
