// Package client holds the TypeScript of the visitor's script. internal/banner
// compiles it; nothing of it is read from disk at run time.
package client

import "embed"

// Sources is the folder src.
//
//go:embed src
var Sources embed.FS

// Verify is the folder verify: the page that checks a receipt.
//
//go:embed verify
var Verify embed.FS
