//go:build mutants

package mutant

var chosen Name

// Choose breaks one promise, or none if the name is "". It must not be called while anything
// runs that could break it.
func Choose(name Name) { chosen = name }

// On reports whether a promise is broken.
func On(name Name) bool { return chosen == name }
