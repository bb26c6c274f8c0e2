// Package dnswire has the messages of the DNS as bytes: it reads queries strictly (RFC 1035,
// RFC 6891), and writes answers that were rendered before, without allocation. It has no sockets
// and knows no zone.
package dnswire

// A Type is the type of records, or of what a query asks for.
type Type uint16

// The types that a server of names treats in a way of its own.
const (
	TypeA      Type = 1
	TypeNS     Type = 2
	TypeCNAME  Type = 5
	TypeSOA    Type = 6
	TypePTR    Type = 12
	TypeMX     Type = 15
	TypeTXT    Type = 16
	TypeAAAA   Type = 28
	TypeOPT    Type = 41
	TypeDS     Type = 43
	TypeRRSIG  Type = 46
	TypeNSEC   Type = 47
	TypeDNSKEY Type = 48
	TypeHTTPS  Type = 65
	TypeHINFO  Type = 13
	TypeIXFR   Type = 251
	TypeAXFR   Type = 252
	TypeANY    Type = 255
	TypeCAA    Type = 257
)

// A Class is the class of records. There is one, the Internet's, in practice.
type Class uint16

// The classes of queries.
const (
	ClassIN  Class = 1
	ClassANY Class = 255
)

// An Rcode says what became of a query. Those above 15 need EDNS (RFC 6891 §6.1.3).
type Rcode uint16

// The codes that are sent.
const (
	NoError   Rcode = 0
	FormErr   Rcode = 1
	ServFail  Rcode = 2
	NXDomain  Rcode = 3
	NotImp    Rcode = 4
	Refused   Rcode = 5
	BadVers   Rcode = 16
	BadCookie Rcode = 23
)

const (
	headerBytes  = 12
	maxName      = 255 // bytes of a name, RFC 1035 §2.3.4
	maxLabel     = 63
	pointer      = 0xc0 // the two highest bits of a compression pointer, RFC 1035 §4.1.4
	opcodeMask   = 0x78
	flagQR       = 0x80 // of the third byte of a header
	flagAA       = 0x04
	flagTC       = 0x02
	flagRD       = 0x01
	flagCD       = 0x10 // of the fourth
	flagDO       = 0x80 // of the first byte of OPT's flags, RFC 3225
	ednsVersion  = 0
	questionTail = 4 // bytes of the type and class after a question's name
)
