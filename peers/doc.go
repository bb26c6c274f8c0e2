// Package peers has what balancers tell each other and remember: operators'
// overrides, hosts' slow starts, and whether their tables agree. It has no sockets:
// whoever has a gossip hands messages in and takes messages out.
//
// # Registers
//
// All of it is registers: one for each topic, such as the state of one host. A Set
// keeps of each topic the register with the greatest Version. So the order in which
// registers come doesn't matter, nor how often one comes: merging is commutative,
// associative and idempotent.
//
// # Other versions of this software
//
// A message, a state exchange, the file and each line of the journal have one form: a
// JSON object with its version and kind, and lists of registers. A field or a list
// never gets another meaning; what is new gets a new name. So a reader of any version
// takes what it understands, and skips kinds of messages, lists and fields that it
// doesn't know.
//
// What it skips isn't lost: an override or a slow start keeps the fields that this
// version doesn't know, and a register of an unknown kind, from the list "registers",
// is merged by its version, told to peers and written to disk like any other. It isn't
// in force here. On disk, whatever else isn't understood stays where it is. A register of
// a known kind whose value this version can't be in, such as a state that it doesn't
// know, isn't taken from a peer: what was in force stays so.
package peers
