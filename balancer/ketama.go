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
// If a host can't serve, its keys go on to the next point of a host that serves. They
// belong to that host when the first has left, also if several hosts fail.
type ketamaPolicy struct {
	cfg  KetamaConfig
	keys keyHash
}

func (p *ketamaPolicy) name() string { return PolicyKetama }

func (p *ketamaPolicy) parameters() string {
	names := ""
	if p.cfg.Names != KetamaNamesHost { // tables of the default have had no such word
		names = " names=" + p.cfg.Names
	}
	return fmt.Sprintf("points=%d", p.cfg.Points) + names + p.keys.parameters()
}

// check implements policy.
func (p *ketamaPolicy) check(hosts []Host) error { return checkPoints(hosts, p.cfg.Points) }

// place implements policy.
func (p *ketamaPolicy) place(hosts []Host) (layout, error) {
	var points []point
	separator := byte(':')
	if p.cfg.Names == KetamaNamesHostPort {
		separator = '_'
	}
	for i, h := range hosts {
		points = appendKetama(points, uint16(i), h, p.cfg.Points, separator)
	}
	hash, in := crc32.ChecksumIEEE, space{function: crcSpace}
	if p.keys.seeded {
		hash = func(key []byte) uint32 { return uint32(p.keys.sum(key) >> 32) }
		in = space{"upper 32 bits", p.keys}
	}
	return newHashRing(points, len(hosts), false, hash).layout(in), nil
}

// appendKetama appends the points of a host. It hashes the name, a zero byte and the
// port: the digits behind the last separator, if the name ends so. Without a port the
// zero byte is hashed, too.
func appendKetama(points []point, index uint16, h Host, perWeight int, separator byte) []point {
	name, port := h.Name, ""
	if at := strings.LastIndexByte(name, separator); at >= 0 && strings.Trim(name[at+1:], "0123456789") == "" {
		name, port = name[:at], name[at+1:]
	}
	base := crc32.ChecksumIEEE([]byte(name + "\x00" + port))
	var before [4]byte
	for range h.Weight * perWeight {
		at := crc32.Update(base, crc32.IEEETable, before[:])
		points = append(points, point{at, index})
		binary.LittleEndian.PutUint32(before[:], at)
	}
	return points
}
