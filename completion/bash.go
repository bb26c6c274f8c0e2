package completion

import "strings"

// bashWalk finds the command and the flag whose value is being typed. COMP_WORDBREAKS makes
// three words of --flag=value.
const bashWalk = `    local cur=${COMP_WORDS[COMP_CWORD]} at=NAME flag= word commands flags kind values i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $flag ]]; then
            [[ $word == = ]] || flag=
            continue
        fi
        _NAME_value "$at" "$word"
        if [[ $word == -* ]]; then
            [[ $kind == none ]] || flag=$word
            continue
        fi
        _NAME_command "$at"
        [[ " $commands " != *" $word "* ]] || at="$at $word"
    done
    [[ $cur != = ]] || cur=
    if [[ -n $flag ]]; then
        _NAME_value "$at" "$flag"
    elif [[ $cur == -* ]]; then
        _NAME_command "$at"
        kind=words values=$flags
    else
        _NAME_command "$at"
        _NAME_value "$at" argument
        [[ -z $commands ]] || kind=words values=$commands
    fi
    case $kind in
    words) mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur") ;;
    files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    directories) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    esac`

func writeBash(s *script, all []command) {
	s.line("# bash completion for %s, written by: %s completion bash", s.name, s.name)
	s.line("\n# Sets commands and flags to those of a command.")
	s.line("_%s_command() {\n    case $1 in", s.name)
	for _, c := range all {
		var flags []string
		for _, owner := range c.above(all) {
			for _, f := range owner.flags {
				flags = append(flags, f.names()...)
			}
		}
		s.line("    %s)\n        commands=%s\n        flags=%s\n        ;;", quote(c.path), quote(wordsOf(c.commands)), quote(strings.Join(flags, " ")))
	}
	s.line("    esac\n}")
	s.writeValues(all)
	s.line("\n_%s() {", s.name)
	s.line("%s", strings.ReplaceAll(bashWalk, "NAME", s.name))
	s.line("}\n\ncomplete -F _%s %s", s.name, s.name)
}

// writeValues writes the function, for bash and zsh, that says what the value of a flag is
// and what a command's arguments are.
func (s *script) writeValues(all []command) {
	s.line("\n# Sets kind and values to what the value of a flag of a command is, or its argument.")
	s.line("_%s_value() {\n    kind=none values=\n    case \"$1 |$2\" in", s.name)
	for _, c := range all {
		for _, f := range c.flags {
			for _, name := range f.names() {
				if f.value.kind != nothing {
					s.line("    %s*%s) %s ;;", quote(c.path+" "), quote("|"+name), f.value.assignments())
				}
			}
		}
		if c.arguments.kind != nothing {
			s.line("    %s) %s ;;", quote(c.path+" |argument"), c.arguments.assignments())
		}
	}
	s.line("    esac\n}")
}

// assignments sets the variables kind and values.
func (v value) assignments() string {
	switch v.kind {
	case oneOf:
		return "kind=words values=" + quote(strings.Join(v.words, " "))
	case file:
		return "kind=files"
	case directory:
		return "kind=directories"
	}
	return "kind=any"
}

func wordsOf(items []item) string {
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = item.word
	}
	return strings.Join(words, " ")
}
