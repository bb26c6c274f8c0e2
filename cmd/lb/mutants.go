//go:build mutants

package main

import (
	"os"

	"tokenring/mutant"
)

// init breaks the promise that LB_MUTANT names.
func init() { mutant.Choose(mutant.Name(os.Getenv("LB_MUTANT"))) }
