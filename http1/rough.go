package http1

import "io"

type Reader struct{ body Body }
type Body struct{}

func NewReader(src io.Reader, lim Limits) *Reader                   { panic("rough") }
func (r *Reader) Wait() error                                       { panic("rough") }
func (r *Reader) Buffered() int                                     { panic("rough") }
func (r *Reader) ReadRequest(req *Request) error                    { panic("rough") }
func (r *Reader) ReadResponse(resp *Response, method []byte) error  { panic("rough") }
func (r *Reader) Body(f Framing, length int64) *Body                { panic("rough") }
func (b *Body) Next() ([]byte, error)                               { panic("rough") }
func (b *Body) Trailers() []Field                                   { panic("rough") }
func (b *Body) Done() bool                                          { panic("rough") }
func (r *Reader) Unread() []byte                                    { panic("rough") }
func (r *Reader) Release()                                          { panic("rough") }
func (r *Reader) Reset(src io.Reader)                               { panic("rough") }
func AppendRequestLine(dst, method, target []byte) []byte           { panic("rough") }
func AppendStatusLine(dst []byte, status int, reason []byte) []byte { panic("rough") }
func AppendField(dst []byte, name, value []byte) []byte             { panic("rough") }
func AppendFieldString(dst []byte, name, value string) []byte       { panic("rough") }
func AppendChunkHeader(dst []byte, n int) []byte                    { panic("rough") }
func AppendLastChunk(dst []byte, trailers []Field) []byte           { panic("rough") }
func AcceptKey(key []byte) string                                   { panic("rough") }
func StatusText(status int) string                                  { panic("rough") }
func EqualFold(a []byte, lower string) bool                         { panic("rough") }
func HasToken(value []byte, lower string) bool                      { panic("rough") }
