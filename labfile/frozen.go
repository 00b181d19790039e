package labfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Frozen reads a lab as a run has frozen it: the lab.json of a trial. Nothing is evaluated, and no other file is read.
// Its settings are checked as those of a lab file are, for what they say by themselves.
func Frozen(data []byte, kinds Kinds) (*lab.Lab, error) {
	var l lab.Lab
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("cannot read the frozen lab: %v", err)
	}
	switch {
	case l.Name == "", l.Expect == "":
		return nil, fmt.Errorf("cannot use the frozen lab: it has no name, or no expected verdict")
	case len(l.Symptoms) == 0:
		return nil, fmt.Errorf("cannot use the frozen lab: it has no symptom, so nothing can be proven with it")
	}
	if err := wellFormed(reflect.ValueOf(l.Rate), "rate"); err != nil {
		return nil, fmt.Errorf("cannot use the frozen lab: %v", err)
	}
	for i := range l.Faults {
		f := &l.Faults[i]
		do, err := thaw(kinds.Faults, f.Kind, f.Settings)
		if err != nil {
			return nil, fmt.Errorf("cannot use %s of the frozen lab: %v", f.Address(), err)
		}
		f.Do = do
	}
	for _, list := range [][]lab.Assertion{l.Ready, l.Symptoms, l.Invariants} {
		for i := range list {
			a := &list[i]
			do, err := thaw(kinds.Assertions, a.Kind, a.Settings)
			if err == nil {
				err = wellFormed(reflect.ValueOf(*a), "")
			}
			if err != nil {
				return nil, fmt.Errorf("cannot use %s of the frozen lab: %v", a.Address(), err)
			}
			a.Do = do
		}
	}
	for _, r := range l.Remedies {
		if err := wellFormed(reflect.ValueOf(r), ""); err != nil {
			return nil, fmt.Errorf("cannot use remedy.%s of the frozen lab: %v", r.Name, err)
		}
	}
	return &l, nil
}

// thaw makes a kind's struct of its settings, which must be right by themselves.
func thaw[T any](kinds []lab.Kind[T], name string, settings json.RawMessage) (T, error) {
	var none T
	for _, k := range kinds {
		if k.Name != name {
			continue
		}
		do := k.New()
		if len(settings) > 0 {
			d := json.NewDecoder(bytes.NewReader(settings))
			d.DisallowUnknownFields()
			if err := d.Decode(do); err != nil {
				return none, err
			}
		}
		if err := wellFormed(reflect.ValueOf(do), ""); err != nil {
			return none, err
		}
		if c, ok := any(do).(lab.Checker); ok {
			if wrong := c.Check(); len(wrong) > 0 {
				return none, fmt.Errorf("%s: %s", wrong[0].Summary, wrong[0].Detail)
			}
		}
		return do, nil
	}
	return none, fmt.Errorf("this saigen knows no kind %q", name)
}

// wellFormed checks every value that has a form of its own: durations, limits, patterns, …
func wellFormed(v reflect.Value, name string) error {
	if c, ok := v.Interface().(interface{ Check() error }); ok && v.Kind() == reflect.String {
		if v.String() == "" {
			return nil
		}
		if err := c.Check(); err != nil {
			return fmt.Errorf("%s: %v", name, err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return wellFormed(v.Elem(), name)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || tag == "-" {
				continue
			}
			if err := wellFormed(v.Field(i), strings.TrimPrefix(name+"."+tag, ".")); err != nil {
				return err
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 { // text
			return nil
		}
		for i := range v.Len() {
			if err := wellFormed(v.Index(i), name); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetLimit changes one limit of an assertion: "symptom.http_latency.slow_pages.p95=over 60s". Only what is compared
// after a look can be set, so that observations that were made before keep their meaning.
func SetLimit(l *lab.Lab, kinds Kinds, assignment string) error {
	path, value, ok := strings.Cut(assignment, "=")
	path, value = strings.TrimSpace(path), strings.TrimSpace(value)
	if !ok || path == "" || value == "" {
		return fmt.Errorf("cannot set %q: write ADDRESS.SETTING=VALUE, such as symptom.http_latency.slow_pages.p95='over 60s'", assignment)
	}
	var addresses []string
	for _, list := range [][]lab.Assertion{l.Symptoms, l.Invariants} {
		for i := range list {
			a := &list[i]
			addresses = append(addresses, a.Address())
			name, ok := strings.CutPrefix(path, a.Address()+".")
			if !ok {
				continue
			}
			if err := setLimit(a, kinds, name, value); err != nil {
				return fmt.Errorf("cannot set %s: %v", path, err)
			}
			return nil
		}
	}
	given := path
	if parts := strings.SplitN(path, ".", 4); len(parts) == 4 {
		given = strings.Join(parts[:3], ".")
	}
	return fmt.Errorf("cannot set %s: the lab has no symptom or invariant %q in %s.%s", path, given, variantWords(l.Variant), hint(given, addresses, "It has"))
}

func setLimit(a *lab.Assertion, kinds Kinds, name, value string) error {
	if name == "within" && a.Role == "symptom" {
		if err := lab.Duration(value).Check(); err != nil {
			return err
		}
		if lab.Duration(value).Value() <= 0 {
			return fmt.Errorf("it must be longer than nothing")
		}
		a.Within = lab.Duration(value)
		return nil
	}
	var limits []string
	if l, ok := a.Do.(lab.Limiter); ok {
		limits = l.Limits()
	}
	if !slices.Contains(limits, name) {
		if a.Role == "symptom" {
			limits = append(limits, "within")
		}
		return fmt.Errorf("%q is no limit of a %s.%s Everything else is its way of looking, and what was observed in another way cannot be judged as if it had been observed in this one", name, a.Kind, hint(name, limits, "Its limits are"))
	}
	for _, form := range []any{value, json.RawMessage(value)} { // "over 60s" is text, 8 is a number
		settings, err := changed(a.Settings, strings.Split(name, "."), form)
		if err != nil {
			return err
		}
		do, err := thaw(kinds.Assertions, a.Kind, settings)
		if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && json.Valid([]byte(value)) {
			continue
		}
		if err != nil {
			return err
		}
		a.Settings, a.Do = settings, do
		return nil
	}
	return fmt.Errorf("%q is not a value that it takes", value)
}

// changed is settings with one value changed, in the nested blocks that the path names.
func changed(settings json.RawMessage, path []string, value any) (json.RawMessage, error) {
	all := map[string]json.RawMessage{}
	if len(settings) > 0 {
		if err := json.Unmarshal(settings, &all); err != nil {
			return nil, err
		}
	}
	if len(path) > 1 {
		if all[path[0]] == nil {
			return nil, fmt.Errorf("the lab has no block %q there", path[0])
		}
		inner, err := changed(all[path[0]], path[1:], value)
		if err != nil {
			return nil, err
		}
		all[path[0]] = inner
		return json.Marshal(all)
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	all[path[0]] = raw
	return json.Marshal(all)
}

func variantWords(v lab.Variant) string {
	if len(v) == 0 {
		return "its only variant"
	}
	return v.String()
}
