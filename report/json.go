package report

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// JSON writes events as JSON lines. The field names are runner.Event's tags and are stable; durations are in
// nanoseconds. Observations come with Verbose only, in a field of their own, "observation".
type JSON struct {
	enc *json.Encoder
	st  Style
	err error
}

// NewJSON returns a sink that writes to w.
func NewJSON(w io.Writer, st Style) *JSON {
	enc := json.NewEncoder(escaped{w})
	enc.SetEscapeHTML(false)
	return &JSON{enc: enc, st: st}
}

// Event writes one line.
func (j *JSON) Event(e runner.Event) {
	if j.err != nil || e.Type == runner.Observed && j.st.Level < Verbose {
		return
	}
	line := struct {
		runner.Event
		Observation *lab.Observation `json:"observation,omitempty"`
	}{e, e.Observation}
	j.err = j.enc.Encode(line)
}

// escaped writes JSON in which nothing makes a terminal or a CI service do something, and that says the same: the control
// and format characters that JSON need not escape, and the first bracket of what would be a command.
type escaped struct{ w io.Writer }

func (e escaped) Write(p []byte) (int, error) {
	var out []byte
	for rest := p; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r < ' ' || !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r): // those below are escaped already, but for our own newline
			out = append(out, rest[:n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		rest = rest[n:]
	}
	out = ciCommand.ReplaceAll(out, []byte(`##$1\u005b`))
	if _, err := e.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Err is the first error of writing; after it nothing more was written.
func (j *JSON) Err() error { return j.err }
