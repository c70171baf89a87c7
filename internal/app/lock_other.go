//go:build !unix

package app

// lockDir does nothing where there is no advisory lock on files.
func lockDir(string) (func(), error) { return func() {}, nil }
