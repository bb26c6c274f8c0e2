package http2

// Sent reads the frames that this side sends on a connection.
type Sent struct {
	head   frameHead // of the current frame
	have   int       // bytes of head so far
	left   int       // bytes of payload that are still to come
	goAway bool
}

// Wrote takes note of the next bytes that were sent.
func (s *Sent) Wrote(b []byte) {
	for len(b) > 0 {
		if s.left > 0 {
			n := min(s.left, len(b))
			s.left -= n
			b = b[n:]
			continue
		}
		n := copy(s.head[s.have:], b)
		b = b[n:]
		if s.have += n; s.have == len(s.head) {
			s.have, s.left = 0, s.head.length()
			s.goAway = s.goAway || s.head.kind() == typeGoAway
		}
	}
}

// GoAway reports whether a GOAWAY frame was sent.
func (s *Sent) GoAway() bool { return s.goAway }
