package completion

import "strings"

// fishWalk finds the command that is being typed. __NAME_is reports whether it is the one
// given, __NAME_in whether it is that one or below it.
const fishWalk = `
function __NAME_at
    set -l at NAME
    set -l skip
    for word in (commandline -opc)[2..-1]
        if set -q skip[1]
            set -e skip
            continue
        end
        if string match -q -- '-*' $word
            contains -- $word VALUED; and set skip yes
            continue
        end
        contains -- "$at $word" COMMANDS; and set at "$at $word"
    end
    echo $at
end

function __NAME_is
    test (__NAME_at) = $argv[1]
end

function __NAME_in
    string match -q -- "$argv[1] *" (__NAME_at)" "
end

complete -c NAME -f`

func writeFish(s *script, all []command) {
	s.line("# fish completion for %s, written by: %s completion fish", s.name, s.name)
	var valued, paths []string
	for _, c := range all {
		paths = append(paths, fishQuote(c.path))
		for _, f := range c.flags {
			if f.value.kind != nothing {
				valued = append(valued, f.names()...)
			}
		}
	}
	s.line("%s", strings.NewReplacer("NAME", s.name, "VALUED", strings.Join(valued, " "), "COMMANDS", strings.Join(paths, " ")).Replace(fishWalk))
	for _, c := range all {
		for _, i := range c.commands {
			s.line("complete -c %s -n %s -a %s -d %s", s.name, fishQuote("__"+s.name+"_is '"+c.path+"'"), fishQuote(i.word), fishQuote(i.help))
		}
		for _, f := range c.flags {
			short := ""
			if f.short != "" {
				short = " -s " + f.short[1:]
			}
			s.line("complete -c %s -n %s -l %s%s%s -d %s", s.name, fishQuote("__"+s.name+"_in '"+c.path+"'"), f.word[2:], short, f.value.fish(true), fishQuote(f.help))
		}
		if c.arguments.kind != nothing {
			s.line("complete -c %s -n %s%s", s.name, fishQuote("__"+s.name+"_is '"+c.path+"'"), c.arguments.fish(false))
		}
	}
}

// fish returns the options of complete for a value. A flag that takes one has no files
// offered unless it wants some.
func (v value) fish(ofFlag bool) string {
	exclusive, files := "", " -F"
	if ofFlag {
		exclusive, files = " -x", " -r -F"
	}
	switch v.kind {
	case oneOf:
		return exclusive + " -a " + fishQuote(strings.Join(v.words, " "))
	case file:
		return files
	case directory:
		return exclusive + " -a '(__fish_complete_directories)'"
	case unknown:
		return exclusive
	}
	return ""
}

// fishQuote quotes text for fish.
func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
