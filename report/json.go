package report

import (
	"encoding/json"
	"io"

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
	enc := json.NewEncoder(w)
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

// Err is the first error of writing; after it nothing more was written.
func (j *JSON) Err() error { return j.err }
