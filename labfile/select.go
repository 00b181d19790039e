package labfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Select returns the variants that the filters leave, in declared order. "axis:value" keeps the variants with that
// value; several for one axis keep each of their values. "!axis:value" drops them. An axis or value that the lab does
// not have is an error, and so is a choice that leaves nothing.
func (f *File) Select(filters []string) ([]lab.Variant, error) {
	keep, drop := map[string][]string{}, map[string][]string{}
	for _, filter := range filters {
		body, not := strings.CutPrefix(filter, "!")
		axis, value, ok := strings.Cut(body, ":")
		if !ok {
			return nil, fmt.Errorf("cannot read filter %q: write axis:value, or !axis:value to leave a value out", filter)
		}
		if err := f.known(filter, axis, value); err != nil {
			return nil, err
		}
		if not {
			drop[axis] = append(drop[axis], value)
		} else {
			keep[axis] = append(keep[axis], value)
		}
	}
	var left []lab.Variant
	for _, v := range f.variants {
		if !slices.ContainsFunc(v, func(c lab.Choice) bool {
			return keep[c.Axis] != nil && !slices.Contains(keep[c.Axis], c.Value) || slices.Contains(drop[c.Axis], c.Value)
		}) {
			left = append(left, v)
		}
	}
	if len(left) == 0 {
		return nil, fmt.Errorf("cannot select variants of lab %q: %s leaves none", f.Name, strings.Join(filters, " "))
	}
	return left, nil
}

func (f *File) known(filter, axis, value string) error {
	var names []string
	for _, a := range f.Axes {
		if a.Name == axis {
			if slices.Contains(a.Values, value) {
				return nil
			}
			return fmt.Errorf("cannot use filter %q: axis %q of lab %q has no value %q.%s", filter, axis, f.Name, value, hint(value, a.Values, "It has"))
		}
		names = append(names, a.Name)
	}
	if len(names) == 0 {
		return fmt.Errorf("cannot use filter %q: lab %q has no axes", filter, f.Name)
	}
	return fmt.Errorf("cannot use filter %q: lab %q has no axis %q.%s", filter, f.Name, axis, hint(axis, names, "It has"))
}
