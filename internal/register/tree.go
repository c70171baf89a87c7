package register

import "assent/internal/tilelog"

// The tree of a site's log is that of internal/tilelog.
type (
	tile       = tilelog.Tile
	edge       = tilelog.Edge
	tileReader = tilelog.Reader
)

const (
	tileHeight     = tilelog.Height
	tileWidth      = tilelog.Width
	bundleLevel    = tilelog.BundleLevel
	commitmentSize = tilelog.CommitmentSize
	entrySize      = tilelog.EntrySize
)

var (
	errDamaged = tilelog.ErrDamaged
	loadEdge   = tilelog.LoadEdge
	bundleOf   = tilelog.BundleOf
	hashesOf   = tilelog.HashesOf
)
