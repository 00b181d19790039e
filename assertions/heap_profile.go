package assertions

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/google/pprof/profile"

	"github.com/saigen-lab/saigen/lab"
)

// HeapProfile reads the heap of a Go program that serves net/http/pprof: what is in use after a garbage collection, which
// each look asks for, and by which functions it was allocated.
//
// All settings that are given must hold together, on the newest look. The runtime samples: a program that is looked at in
// small numbers should have a small memprofilerate in GODEBUG, such as 1024 bytes, or the numbers are rough. A program
// that does not answer counts neither way. The evidence lines are the functions that allocated most.
//
// Values: bytes and objects (in use, of function where it is given), share (of function, 0 to 1), total_bytes, total_objects.
type HeapProfile struct {
	// The stack that the program belongs to; it says on which machine to look. Either this or machine.
	Stack lab.StackRef `hcl:"stack,optional" json:"stack,omitempty"`
	// The machine to ask from.
	Machine lab.MachineRef `hcl:"machine,optional" json:"machine,omitempty"`
	// The address of the profile, as "http://localhost:6060/debug/pprof/heap".
	URL lab.URL `hcl:"url" json:"url"`
	// Count only what was allocated by functions whose name matches, or by what they called: "zmq4\\.\\(\\*socket\\)\\.accept".
	Function lab.Pattern `hcl:"function,optional" json:"function,omitempty"`
	// Holds when so many bytes are in use, as "over 10MB".
	Bytes lab.Limit `hcl:"bytes,optional" json:"bytes,omitempty"`
	// Holds when so many objects are in use.
	Objects lab.Limit `hcl:"objects,optional" json:"objects,omitempty"`
	// Holds when function accounts for this part of the bytes, from 0 to 1, as "over 0.9".
	Share lab.Limit `hcl:"share,optional" json:"share,omitempty"`
	// How long one request may take. Default: "10s".
	Timeout lab.Duration `hcl:"timeout,optional" json:"timeout,omitempty"`
}

// Check implements lab.Checker.
func (h *HeapProfile) Check() []lab.Problem {
	out := checkTimeout(h.Timeout)
	if h.Bytes == "" && h.Objects == "" && h.Share == "" {
		out = append(out, nothingAsserted("bytes, objects and share"))
	}
	for _, l := range []struct {
		attr  string
		limit lab.Limit
	}{{"bytes", h.Bytes}, {"objects", h.Objects}, {"share", h.Share}} {
		if alwaysTrue(l.limit) {
			out = append(out, lab.Problem{Attr: l.attr, Summary: "every heap is in the limit",
				Detail: "Any program would satisfy this limit, so it proves nothing. Write one that some heap could miss."})
		}
	}
	if h.Share != "" && h.Function == "" {
		out = append(out, lab.Problem{Attr: "share", Summary: "the share of nothing",
			Detail: "All functions together always account for the whole heap. Say whose share is meant with function."})
	}
	if h.Share != "" && h.Share.Check() == nil {
		if low, high := h.Share.Interval(); low >= 1 || high <= 0 || low <= 0 && high >= 1 {
			out = append(out, lab.Problem{Attr: "share", Summary: "not a part",
				Detail: "A share is a part of the heap, between 0 and 1. Write it as \"over 0.9\" for more than nine tenths."})
		}
	}
	if (h.Stack == "") == (h.Machine == "") {
		out = append(out, onePlace())
	}
	return out
}

// Limits implements lab.Limiter.
func (*HeapProfile) Limits() []string { return []string{"bytes", "objects", "share"} }

// Numbers implements lab.Numbered.
func (*HeapProfile) Numbers() []string {
	return []string{"bytes", "objects", "share", "total_bytes", "total_objects"}
}

// Longest implements lab.Patient.
func (h *HeapProfile) Longest() time.Duration { return h.Timeout.Value() + time.Second }

// Observe implements lab.Observer.
func (h *HeapProfile) Observe(ctx context.Context, _ lab.Place) (lab.Observation, error) {
	address, err := afterCollection(string(h.URL))
	if err != nil {
		return lab.Observation{}, err
	}
	r, err := get(ctx, address, true, h.Timeout.Value())
	if err != nil {
		return lab.Observation{}, err
	}
	if r.status != 200 {
		return lab.Observation{}, fmt.Errorf("cannot read the heap profile of %s: %s", h.URL, r)
	}
	p, err := profile.ParseData(r.body)
	if err != nil {
		return lab.Observation{}, fmt.Errorf("cannot read the heap profile of %s: %w", h.URL, err)
	}
	return h.judge(p)
}

// afterCollection asks for a garbage collection before the profile is made: without it the profile is that of the
// last one, and says nothing of what came since.
func afterCollection(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("gc", "1")
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func (h *HeapProfile) judge(p *profile.Profile) (lab.Observation, error) {
	kind := func(name string) int {
		return slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == name })
	}
	objects, bytes := kind("inuse_objects"), kind("inuse_space")
	if objects < 0 || bytes < 0 {
		return lab.Observation{}, fmt.Errorf("cannot read the heap profile of %s: it is a profile of something else", h.URL)
	}
	var found, total struct{ bytes, objects float64 }
	flat := map[string]float64{}
	for _, s := range p.Sample {
		b, n := float64(s.Value[bytes]), float64(s.Value[objects])
		total.bytes += b
		total.objects += n
		names := functions(s)
		if len(names) > 0 {
			flat[names[0]] += b
		}
		if h.Function == "" || slices.ContainsFunc(names, h.Function.Regexp().MatchString) {
			found.bytes += b
			found.objects += n
		}
	}
	share := 0.0
	if total.bytes > 0 {
		share = found.bytes / total.bytes
	}
	o := lab.Observation{
		Values: map[string]float64{
			"bytes": found.bytes, "objects": found.objects, "share": share, "total_bytes": total.bytes, "total_objects": total.objects,
		},
		Lines:   most(flat, total.bytes, 8),
		Summary: fmt.Sprintf("%.0f bytes in %.0f objects", found.bytes, found.objects),
	}
	if h.Function != "" {
		o.Summary += fmt.Sprintf(", %.0f %% of the heap", 100*share)
	}
	return o, nil
}

// functions are the names on the stack of an allocation, the innermost first.
func functions(s *profile.Sample) []string {
	var out []string
	for _, at := range s.Location {
		for _, l := range at.Line {
			if l.Function != nil {
				out = append(out, l.Function.Name)
			}
		}
	}
	return out
}

// most lists the functions that allocated most by themselves.
func most(flat map[string]float64, total float64, n int) []string {
	names := make([]string, 0, len(flat))
	for name := range flat {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(flat[b], flat[a]), cmp.Compare(a, b)) })
	var out []string
	for _, name := range names[:min(n, len(names))] {
		if flat[name] > 0 {
			out = append(out, fmt.Sprintf("%4.1f %% %9.0f B %s", 100*flat[name]/total, flat[name], name))
		}
	}
	return clip(out)
}

// Holds implements lab.Observer.
func (h *HeapProfile) Holds(history []lab.Observation) bool {
	v := last(history).Values
	return (h.Bytes == "" || h.Bytes.Holds(v["bytes"])) &&
		(h.Objects == "" || h.Objects.Holds(v["objects"])) &&
		(h.Share == "" || h.Share.Holds(v["share"]))
}
