// Package http1 is HTTP/1.1 (and 1.0) as bytes: it reads message heads and
// bodies from an io.Reader and appends new ones to byte slices. It is strict:
// a message that could be read in two ways is refused. Of requests nothing is
// repaired, of responses what can be read in one way only (Repairs).
package http1

// Limits bounds what a Reader buffers for one head or trailer section.
// Zero fields take the defaults.
type Limits struct {
	Line   int // bytes of one line without its CRLF; as many as Head
	Head   int // bytes of a whole head or trailer section; 32768
	Fields int // field lines; 100
}

// withDefaults fills in what is zero or negative.
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

// Field is one field line. Name and Value point into the Reader's buffer, are
// never empty (Name) or surrounded by white space (Value), and must not be
// modified.
type Field struct {
	Name, Value []byte
	Kind        Kind
	// Hop says that the field ends here (RFC 9110 §7.6.1): it is hop-by-hop by
	// definition or named by Connection, and must not be forwarded.
	Hop bool
}

// Framing says how the end of a body is found (RFC 9112 §6.3).
type Framing uint8

// The framings of a body.
const (
	NoBody     Framing = iota // nothing follows the head
	Length                    // exactly Length bytes follow
	Chunked                   // chunks follow, then a trailer section
	UntilClose                // responses only: all until the connection ends
)

// Request is one request head. All slices point into the Reader's buffer and
// stay valid until the Reader's next Read or Release, or a Wait with nothing
// buffered. A Request may be read into again and again: its Fields are reused.
type Request struct {
	Method []byte // a token; case matters
	Target []byte // as received

	// Path and Query are raw parts of an origin-form or absolute-form Target.
	// Query excludes the '?', HasQuery tells whether there was one. The Path of
	// an absolute-form target without one is "/" ("*" for OPTIONS without
	// query, RFC 9112 §3.2.4).
	Path, Query []byte
	HasQuery    bool

	Host    []byte  // the Host field, or an HTTP/1.0 absolute-form's authority; nil in HTTP/1.0 without either
	Minor   int     // HTTP/1.Minor: 0 or 1
	Fields  []Field // in the order received, Host and framing included
	Framing Framing // NoBody, Length or Chunked
	Length  int64   // bytes, for Length; otherwise 0

	Close     bool // the connection ends after this exchange
	WebSocket bool // a valid opening handshake (RFC 6455 §4.2.1)
	Expect100 bool // the client waits for 100 (Continue) before it sends the body
}

// Response is one response head, interim (1xx) ones included. Its slices live
// as long as those of a Request do.
type Response struct {
	Status  int    // 100 to 999; what isn't below 600 is to be treated as a 5xx (RFC 9110 §15)
	Reason  []byte // may be empty
	Minor   int    // HTTP/1.Minor: 0 or 1
	Fields  []Field
	Framing Framing
	Length  int64 // declared Content-Length, also where NoBody (HEAD, 304); -1 when there is none
	Close   bool  // the connection ends after this response
	Upgrade bool  // 101 with Connection: upgrade and Upgrade: websocket
}

// Error says why a message was refused. After one, the connection can't be
// used any further, for nobody knows where the next message begins.
type Error struct {
	Status int    // what to answer: 4xx, 501 or 505 for a request, 502 for a response
	Reason string // a constant text: it never holds bytes of the message
}

func (e *Error) Error() string { return "http1: " + e.Reason }
