package completion

import "strings"

// zshWalk finds the command and the flag whose value is being typed.
const zshWalk = `    local cur=$words[CURRENT] at=NAME flag= word kind values i
    local -a commands flags
    for ((i = 2; i < CURRENT; i++)); do
        word=$words[i]
        if [[ -n $flag ]]; then
            flag=
            continue
        fi
        if [[ $word == -* ]]; then
            _NAME_value "$at" "$word"
            [[ $kind == none ]] || flag=$word
            continue
        fi
        _NAME_command "$at"
        (( ! ${commands[(I)$word:*]} )) || at="$at $word"
    done
    if [[ -z $flag && $cur == --*=* ]]; then
        flag=${cur%%=*}
        compset -P '*='
    fi
    _NAME_command "$at"
    if [[ -n $flag ]]; then
        _NAME_value "$at" "$flag"
    elif [[ $cur == -* ]]; then
        _describe -o option flags
        return
    elif (( $#commands )); then
        _describe command commands
        return
    else
        _NAME_value "$at" argument
    fi
    case $kind in
    words) compadd -- ${=values} ;;
    files) _files ;;
    directories) _files -/ ;;
    esac`

func writeZsh(s *script, all []command) {
	s.line("#compdef %s\n# zsh completion for %s, written by: %s completion zsh", s.name, s.name, s.name)
	s.line("\n# Sets commands and flags to those of a command, with what they mean.")
	s.line("_%s_command() {\n    commands=() flags=()\n    case $1 in", s.name)
	for _, c := range all {
		s.line("    %s)", quote(c.path))
		s.zshItems("commands", c.commands)
		var flags []item
		for _, owner := range c.above(all) {
			for _, f := range owner.flags {
				for _, name := range f.names() {
					flags = append(flags, item{name, f.help})
				}
			}
		}
		s.zshItems("flags", flags)
		s.line("        ;;")
	}
	s.line("    esac\n}")
	s.writeValues(all)
	s.line("\n_%s() {", s.name)
	s.line("%s", strings.ReplaceAll(zshWalk, "NAME", s.name))
	s.line("}\n\nif [[ $funcstack[1] == _%s ]]; then\n    _%s \"$@\"\nelse\n    compdef _%s %s\nfi", s.name, s.name, s.name, s.name)
}

// zshItems sets a list of words with what they mean, as _describe takes it.
func (s *script) zshItems(list string, items []item) {
	if len(items) == 0 {
		return
	}
	s.line("        %s=(", list)
	for _, i := range items {
		s.line("            %s", quote(i.word+":"+strings.ReplaceAll(i.help, ":", `\:`)))
	}
	s.line("        )")
}
