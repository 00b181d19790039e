package report

import "io"

// Held prints above a shell, which a run has opened in a machine, why it did and where the reader is.
func Held(w io.Writer, st Style, why, where string) {
	p := printer{w: w, st: st}
	p.line("")
	for _, line := range wrap(clean(why), p.wide()-1) {
		p.line(st.paint(bold, line))
	}
	p.wrapped(0, where)
	p.line("")
}
