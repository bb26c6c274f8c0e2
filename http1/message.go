// Package http1 is HTTP/1.1 (and 1.0) as bytes: it reads message heads and
// bodies from an io.Reader and appends new ones to byte slices. It is strict: it
// refuses a message that could be read in two ways. It never repairs a request. It
// repairs faults of responses that can be read in only one way (Repairs).
package http1

// Limits bounds what a Reader buffers for one head or trailer section.
// Zero fields take the defaults.
type Limits struct {
	Line   int // bytes of one line without its CRLF; default: Head
	Head   int // bytes of a whole head or trailer section; default: 32768
	Fields int // field lines; default: 100
}

// withDefaults returns l with the defaults for fields that are zero or negative.
func (l Limits) withDefaults() Limits {
	if l.Head <= 0 {
		l.Head = 32768
	}
	if l.Line <= 0 {
		l.Line = l.Head
	}
	if l.Fields <= 0 {
		l.Fields = 100
	}
	return l
}

// Field is one field line. Name and Value point into the Reader's buffer and must
// not be modified. Name isn't empty. Value has no white space around it.
type Field struct {
	Name, Value []byte
	Kind        Kind
	// Hop says that the field is hop-by-hop (RFC 9110 §7.6.1), by definition or
	// because Connection names it. It must not be forwarded.
	Hop bool
}

// Framing says how the end of a body is found (RFC 9112 §6.3).
type Framing uint8

// The framings of a body.
const (
	NoBody     Framing = iota // nothing follows the head
	Length                    // exactly Length bytes follow
	Chunked                   // chunks follow, then a trailer section
	UntilClose                // responses only: the body ends with the connection
)

// Request is one request head. All slices point into the Reader's buffer. They
// stay valid until the Reader's next Read or Release, or a Wait with nothing
// buffered. A Request may be used for many reads; its Fields are reused.
type Request struct {
	Method []byte // a token; case matters
	Target []byte // as received

	// Path and Query are raw parts of an origin-form or absolute-form Target.
	// Query excludes the '?'; HasQuery says whether there was a '?'. If an
	// absolute-form target has no path, Path is "/" ("*" for OPTIONS without query,
	// RFC 9112 §3.2.4).
	Path, Query []byte
	HasQuery    bool

	Host    []byte  // the Host field, or else in HTTP/1.0 the authority of an absolute-form target; nil if there is neither
	Minor   int     // HTTP/1.Minor: 0 or 1
	Fields  []Field // in the order received, Host and framing included
	Framing Framing // NoBody, Length or Chunked
	Length  int64   // bytes, for Length; otherwise 0

	Close     bool   // the connection ends after this exchange
	Upgrade   []byte // the only protocol that the client offers to change to (RFC 9110 §7.8), nil if there is none
	WebSocket bool   // that is a valid opening handshake (RFC 6455 §4.2.1)
	Expect100 bool   // the client waits for 100 (Continue) before it sends the body
}

// HasBody reports whether data follows the head. A Content-Length of 0 is no body.
func (r *Request) HasBody() bool { return r.Framing == Chunked || r.Length > 0 }

// Repeatable reports whether the request may be sent again although a host may have
// acted on it: it has no body, and its method is idempotent (RFC 9110 §9.2.2).
func (r *Request) Repeatable() bool {
	if r.HasBody() {
		return false
	}
	switch string(r.Method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// Response is one response head, final or interim (1xx). Its slices are valid as long
// as those of a Request.
type Response struct {
	Status  int    // 100 to 999; 600 and above must be treated as a 5xx (RFC 9110 §15)
	Reason  []byte // may be empty
	Minor   int    // HTTP/1.Minor: 0 or 1
	Fields  []Field
	Framing Framing
	Length  int64  // declared Content-Length, also with NoBody (HEAD, 304); -1 if there is none
	Close   bool   // the connection ends after this response
	Upgrade []byte // of a 101: the only protocol that the host has changed to, nil if it doesn't say one
}

// Error says why a message was refused. The connection can't be used after an Error,
// since it isn't known where the next message begins.
type Error struct {
	Status int    // the status to answer with: 4xx, 501 or 505 for a request, 502 for a response
	Reason string // a constant text: it never holds bytes of the message
}

func (e *Error) Error() string { return "http1: " + e.Reason }
