//go:build !unix

package app

import "math"

// lockDir does nothing where there is no advisory lock on files.
func lockDir(string) (func(), error) { return func() {}, nil }

// maxFiles is how many files this process may have open, as far as it is known.
func maxFiles() int { return math.MaxInt32 }
