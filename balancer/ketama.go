package balancer

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// ketamaPolicy places hosts as nginx does for `hash … consistent` (its
// ngx_http_upstream_hash_module, after Last.fm's Ketama and Perl's
// Cache::Memcached::Fast), and Pingora after it: a number of points per unit of
// weight, each the CRC-32 of the name and the point before it. A key belongs to
// the next point upwards.
//
// If a host can't serve, its keys go on to the next point of a host that does,
// which is where they belong without it, however many hosts fail.
type ketamaPolicy struct {
	cfg  KetamaConfig
	keys keyHash
}

func (p *ketamaPolicy) name() string { return PolicyKetama }

func (p *ketamaPolicy) parameters() string {
	return fmt.Sprintf("points=%d", p.cfg.Points) + p.keys.mark()
}

// fit implements policy.
func (p *ketamaPolicy) fit(hosts []Host) error { return fitCircle(hosts, p.cfg.Points) }

// place implements policy.
func (p *ketamaPolicy) place(hosts []Host) (layout, error) {
	var marks []mark
	for i, h := range hosts {
		marks = appendKetama(marks, uint16(i), h, p.cfg.Points)
	}
	hash, in := crc32.ChecksumIEEE, space{function: crcSpace}
	if p.keys.seeded {
		hash = func(key []byte) uint32 { return uint32(p.keys.sum(key) >> 32) }
		in = space{"upper 32 bits", p.keys}
	}
	return newCircle(marks, len(hosts), false, hash).layout(in), nil
}

// appendKetama appends the points of a host. A port at the end of the name is set
// apart by a zero byte, which stands there without a port, too.
func appendKetama(marks []mark, index uint16, h Host, points int) []mark {
	name, port := h.Name, ""
	if colon := strings.LastIndexByte(name, ':'); colon >= 0 && strings.Trim(name[colon+1:], "0123456789") == "" {
		name, port = name[:colon], name[colon+1:]
	}
	base := crc32.ChecksumIEEE([]byte(name + "\x00" + port))
	var before [4]byte
	for range h.Weight * points {
		at := crc32.Update(base, crc32.IEEETable, before[:])
		marks = append(marks, mark{at, index})
		binary.LittleEndian.PutUint32(before[:], at)
	}
	return marks
}
