package assertions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Counted is one number of another assertion: that assertion's kind, one of its numbers, and its settings. What it would
// compare with does not matter; only its number is used.
type Counted struct {
	// The kind of assertion that looks.
	Kind string `hcl:"kind,label" json:"kind"`
	// Which of its numbers is taken.
	Number string `hcl:"number,label" json:"number"`
	// The settings of the kind.
	Look lab.Observer `json:"look"`
}

// Choices implements lab.Chooser.
func (c *Counted) Choices() []string {
	var names []string
	for _, k := range Kinds() {
		if k.Name != growthName { // the growth of a growth would need looks of looks
			names = append(names, k.Name)
		}
	}
	return names
}

// Choose implements lab.Chooser.
func (c *Counted) Choose(kind string) (settings any, ok bool) {
	i := slices.IndexFunc(Kinds(), func(k lab.Kind[lab.Observer]) bool { return k.Name == kind })
	if i < 0 || !slices.Contains(c.Choices(), kind) {
		return nil, false
	}
	c.Kind, c.Look = kind, Kinds()[i].New()
	return c.Look, true
}

// UnmarshalJSON makes the settings of the kind that the JSON names; a setting that it does not have is an error.
func (c *Counted) UnmarshalJSON(data []byte) error {
	var in struct {
		Kind   string          `json:"kind"`
		Number string          `json:"number"`
		Look   json.RawMessage `json:"look"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*c = Counted{Number: in.Number}
	if in.Kind == "" {
		return nil
	}
	settings, ok := c.Choose(in.Kind)
	if !ok {
		return fmt.Errorf("there is no assertion of kind %q inside another", in.Kind)
	}
	if len(in.Look) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(in.Look))
	d.DisallowUnknownFields()
	return d.Decode(settings)
}

// check returns what is wrong with the settings but that they compare nothing.
func (c *Counted) check(block string) []lab.Problem {
	var out []lab.Problem
	if k, ok := c.Look.(lab.Checker); ok {
		for _, p := range k.Check() {
			if p.Summary == nothingAsserted("").Summary {
				continue
			}
			p.Attr = strings.TrimSuffix(block+"."+p.Attr, ".")
			out = append(out, p)
		}
	}
	if n, ok := c.Look.(lab.Numbered); ok && len(out) == 0 && !slices.Contains(n.Numbers(), c.Number) {
		out = append(out, lab.Problem{Attr: block, Summary: "unknown number",
			Detail: fmt.Sprintf("What %s sees has no number %q. With these settings it has %s.", c.Kind, c.Number, strings.Join(n.Numbers(), ", "))})
	}
	return out
}

// longest is how long one look may take; 0 when the kind does not say.
func (c *Counted) longest() time.Duration {
	if p, ok := c.Look.(lab.Patient); ok {
		return p.Longest()
	}
	return 0
}

// observe looks once, and returns the values under names that begin with the block's.
func (c *Counted) observe(ctx context.Context, at lab.Place, block string) (lab.Observation, error) {
	o, err := c.Look.Observe(ctx, at)
	if err != nil {
		return o, err
	}
	values := map[string]float64{}
	for name, v := range o.Values {
		values[block+"."+name] = v
	}
	if _, ok := c.number([]lab.Observation{o}); !ok {
		return o, fmt.Errorf("cannot measure growth: %s saw no number %q: %s", c.Kind, c.Number, o.Summary)
	}
	o.Values = values
	return o, nil
}

// number is what the assertion has measured at the end of its history.
func (c *Counted) number(history []lab.Observation) (float64, bool) {
	values := last(history).Values
	if m, ok := c.Look.(lab.Measurer); ok {
		values = m.Measure(history)
	}
	v, ok := values[c.Number]
	return v, ok
}

// own is the assertion's history within that of a growth.
func (c *Counted) own(history []lab.Observation, block string) []lab.Observation {
	out := slices.Clone(history)
	for i, o := range out {
		out[i].Values = map[string]float64{}
		for name := range maps.Keys(o.Values) {
			if inner, ok := strings.CutPrefix(name, block+"."); ok {
				out[i].Values[inner] = o.Values[name]
			}
		}
	}
	return out
}
