package votes

import (
	"cmp"
	"slices"
)

// compare orders entries by balancer, boot and number, and then by what they say.
func (e Entry) compare(f Entry) int {
	return cmp.Or(
		cmp.Compare(e.By, f.By), cmp.Compare(e.Boot, f.Boot), cmp.Compare(e.Number, f.Number),
		cmp.Compare(e.Verdict, f.Verdict), e.Since.Compare(f.Since), slices.Compare(e.Hosts, f.Hosts),
	)
}

// A HostVote is the vote on one host.
type HostVote struct {
	Host string
	Vote
}

// A Speech is what this balancer has to tell of its own checks. Its votes are those of the
// last Update. The zero Speech has none.
type Speech struct {
	own    []HostVote // sorted by host
	begun  bool
	number uint64
}

// Update replaces the votes. all has one on each known host, is sorted by host, and belongs to
// s from now on. It returns the entries that say everything, and those that say what has
// changed; none if nothing has.
func (s *Speech) Update(by string, boot uint64, all []HostVote) (whole, changed []Entry) {
	news := groups{}
	before := s.own
	for _, v := range all {
		for len(before) > 0 && before[0].Host < v.Host {
			before = before[1:]
		}
		if len(before) == 0 || before[0] != v {
			news.add(v)
		}
	}
	s.own = all
	if len(news) == 0 && s.begun {
		return nil, nil
	}
	s.begun = true
	s.number++
	everything := groups{}
	for _, v := range all {
		everything.add(v)
	}
	if len(everything) == 0 {
		everything[Vote{}] = nil // that it speaks, too, is to be known
	}
	return everything.entries(by, boot, s.number), news.entries(by, boot, s.number)
}

// groups are hosts by the vote on them.
type groups map[Vote][]string

func (g groups) add(v HostVote) { g[v.Vote] = append(g[v.Vote], v.Host) }

func (g groups) entries(by string, boot, number uint64) (list []Entry) {
	for vote, hosts := range g {
		list = append(list, Entry{By: by, Boot: boot, Number: number, Vote: vote, Hosts: hosts})
	}
	slices.SortFunc(list, Entry.compare)
	return list
}
