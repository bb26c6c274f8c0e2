package haproxycfg

import "tokenring/migration"

// The report and its parts, as for every import.
type (
	Report  = migration.Report
	Line    = migration.Line
	Note    = migration.Note
	Verdict = migration.Verdict
	Error   = migration.Error
	Errors  = migration.Errors
)

const (
	Took    = migration.Took
	Changed = migration.Changed
	LeftOut = migration.LeftOut
	Unknown = migration.Unknown
	Decide  = migration.Decide
	Stops   = migration.Stops
	Moves   = migration.Moves
)

const masked = migration.Masked

// What makes texts fit for a terminal and for YAML.
var (
	pattern    = migration.Pattern
	maskInside = migration.MaskInside
	printable  = migration.Printable
	quote      = migration.Quote
	quoteName  = migration.QuoteName
	comment    = migration.Comment
)

// note adds a note to the line, once.
func (d *directive) note(v Verdict, text string) { d.Add(v, text) }
