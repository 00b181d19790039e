package examples

import (
	"embed"
	"io/fs"

	"github.com/saigen-lab/saigen/lab"
)

// Faults is the table of the examples' faults, each with its defaults.
func Faults() []lab.Kind[lab.Breaker] {
	return []lab.Kind[lab.Breaker]{
		{Name: "file_missing", New: func() lab.Breaker { return &FileMissing{} }},
	}
}

// Assertions is the table of the examples' assertions, each with its defaults.
func Assertions() []lab.Kind[lab.Observer] {
	return []lab.Kind[lab.Observer]{
		{Name: "memory", New: func() lab.Observer { return &Memory{} }},
	}
}

//go:embed *.go
var sources embed.FS

// Sources returns this package's own Go files: the comments in them are the manual of the kinds.
func Sources() fs.FS { return sources }
