package report

import (
	"fmt"
	"io"
	"time"
)

// CacheLine is one thing that the cache keeps.
type CacheLine struct {
	Kind, Hash, Name string
	Bytes            int64
	Used             time.Time // last
	State            string    // "in use"; empty: it may go
}

// Cache prints the table of saigen cache list, in the order given.
func Cache(w io.Writer, st Style, lines []CacheLine) {
	if len(lines) == 0 {
		put(w, "nothing is in the cache")
		return
	}
	t := table{st: st, head: []string{"kind", "hash", "size", "last used", "state", "what"}}
	for _, l := range lines {
		t.row(cell{text: l.Kind}, cell{text: l.Hash[:min(12, len(l.Hash))]}, cell{text: Bytes(l.Bytes), right: true},
			cell{text: l.Used.Format("_2 Jan 15:04")}, cell{text: l.State, colour: yellow}, cell{text: l.Name})
	}
	t.print(w)
}

// Bytes is a size for people: "412 MiB", "3.1 GiB".
func Bytes(n int64) string {
	v, unit := float64(n), "B"
	for _, larger := range []string{"KiB", "MiB", "GiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, larger
	}
	if unit == "B" || v >= 10 {
		return fmt.Sprintf("%.0f %s", v, unit)
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}
