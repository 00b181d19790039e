package lab

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// These string types are what settings are written in. Their values are checked when a lab is read, so the methods
// that interpret them panic on a value that was not.
type (
	// Path is a file or folder inside the lab's folder, relative to it.
	Path string
	// Duration is a time with its unit: "500ms", "3s", "2m".
	Duration string
	// Size is a number of bytes with its unit: "512MiB", "2GiB".
	Size string
	// Pattern is a regular expression in RE2 syntax.
	Pattern string
	// Limit is a comparison: "over 3s", "at least 4", "2.9s to 3.5s", "exactly 172".
	Limit string
	// Rate is how often a variant must get its expected verdict: ">= 0.9", "<= 0.05", "0.1 to 0.9".
	Rate string
	// URL is an http or https address as seen from the machine.
	URL string

	// ImageRef is the address of an image: "image.host".
	ImageRef string
	// MachineRef is the address of a machine: "machine.server".
	MachineRef string
	// StackRef is the address of a stack: "stack.alice".
	StackRef string
	// AccountName is an account of the machine that the same block names.
	AccountName string
	// ServiceName is a service of the stack that the same block names.
	ServiceName string
)

// Name is the address without its first word.
func (r ImageRef) Name() string { return strings.TrimPrefix(string(r), "image.") }

// Name is the address without its first word.
func (r MachineRef) Name() string { return strings.TrimPrefix(string(r), "machine.") }

// Name is the address without its first word.
func (r StackRef) Name() string { return strings.TrimPrefix(string(r), "stack.") }

// Check says what is wrong with the path, by its form alone: the lab's folder must not be left.
func (p Path) Check() error {
	if !filepath.IsLocal(string(p)) {
		return fmt.Errorf("%q is not inside the lab's folder", string(p))
	}
	return nil
}

// Check says what is wrong with the duration.
func (d Duration) Check() error {
	v, err := time.ParseDuration(string(d))
	if err != nil {
		return fmt.Errorf("%q is not a duration: write a number and a unit, such as \"500ms\", \"3s\" or \"2m\"", string(d))
	}
	if v < 0 {
		return fmt.Errorf("%q is negative", string(d))
	}
	return nil
}

// Value is the duration; 0 for the empty string.
func (d Duration) Value() time.Duration {
	if d == "" {
		return 0
	}
	v, err := time.ParseDuration(string(d))
	if err != nil {
		panic(err)
	}
	return v
}

var sizeForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?(B|KiB|MiB|GiB|kB|MB|GB)$`)

var sizeUnits = map[string]float64{
	"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1e3, "MB": 1e6, "GB": 1e9,
}

// Check says what is wrong with the size.
func (s Size) Check() error {
	if !sizeForm.MatchString(string(s)) {
		return fmt.Errorf("%q is not a size: write a number and a unit, such as \"512MiB\" or \"2GiB\"", string(s))
	}
	return nil
}

// Bytes is the size in bytes; 0 for the empty string.
func (s Size) Bytes() int64 {
	m := sizeForm.FindStringSubmatch(string(s))
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseFloat(m[1], 64)
	return int64(n * sizeUnits[m[2]])
}

// Check says what is wrong with the pattern.
func (p Pattern) Check() error {
	_, err := regexp.Compile(string(p))
	return err
}

// Regexp is the compiled pattern.
func (p Pattern) Regexp() *regexp.Regexp { return regexp.MustCompile(string(p)) }

// Check says what is wrong with the limit.
func (l Limit) Check() error {
	_, err := l.parse()
	return err
}

// Holds compares a value in base units: seconds for durations, bytes for sizes.
func (l Limit) Holds(v float64) bool {
	in, err := l.parse()
	if err != nil {
		panic(err)
	}
	return in.holds(v)
}

// IsTime says whether every number of the limit carries a unit of time.
func (l Limit) IsTime() bool {
	rest := string(l)
	for _, word := range []string{"over ", "under ", "at least ", "at most ", "exactly "} {
		rest = strings.TrimPrefix(strings.TrimSpace(rest), word)
	}
	for part := range strings.SplitSeq(rest, " to ") {
		part = strings.TrimSpace(part)
		if _, err := strconv.ParseFloat(part, 64); err == nil {
			return false
		}
		if _, err := time.ParseDuration(part); err != nil {
			return false
		}
	}
	return true
}

// Interval returns the bounds of the limit in base units; an open side is infinite. It serves to draw the limit.
func (l Limit) Interval() (low, high float64) {
	in, err := l.parse()
	if err != nil {
		panic(err)
	}
	return in.low, in.high
}

// Check says what is wrong with the rate.
func (r Rate) Check() error {
	_, _, err := r.parse()
	return err
}

// Bounds returns the least and the most, both from 0 to 1: 0 or 1 where the rate has no such bound.
func (r Rate) Bounds() (low, high float64) {
	low, high, err := r.parse()
	if err != nil {
		panic(err)
	}
	return low, high
}

func (r Rate) parse() (low, high float64, err error) {
	s := strings.TrimSpace(string(r))
	low, high = 0, 1
	set := func(bound *float64, text string) {
		v, wrong := strconv.ParseFloat(strings.TrimSpace(text), 64)
		// A rate that every outcome satisfies could not fail, and no number of trials shows one of exactly 0 or 1.
		if *bound = v; wrong != nil || !(v > 0 && v < 1) {
			err = fmt.Errorf("%q is not a rate: write \">= 0.9\", \"<= 0.05\" or \"0.1 to 0.9\", with numbers between 0 and 1", string(r))
		}
	}
	if least, ok := strings.CutPrefix(s, ">="); ok {
		set(&low, least)
	} else if most, ok := strings.CutPrefix(s, "<="); ok {
		set(&high, most)
	} else {
		least, most, _ := strings.Cut(s, " to ")
		set(&low, least)
		set(&high, most)
	}
	if err == nil && low >= high {
		err = fmt.Errorf("%q is not a rate: the second number must be above the first", string(r))
	}
	return low, high, err
}

type interval struct {
	low, high         float64
	lowOpen, highOpen bool
}

func (in interval) holds(v float64) bool {
	above := v > in.low || (!in.lowOpen && v == in.low)
	below := v < in.high || (!in.highOpen && v == in.high)
	return above && below
}

func (l Limit) parse() (interval, error) {
	s := strings.TrimSpace(string(l))
	in := interval{low: math.Inf(-1), high: math.Inf(1)}
	bad := fmt.Errorf("%q is not a limit: write \"over 3s\", \"under 1s\", \"at least 4\", \"at most 4\", \"exactly 172\" or \"2.9s to 3.5s\"", string(l))
	if a, b, ok := strings.Cut(s, " to "); ok {
		low, err1 := quantity(a)
		high, err2 := quantity(b)
		if err1 != nil || err2 != nil || low > high {
			return in, bad
		}
		in.low, in.high = low, high
		return in, nil
	}
	for _, form := range []struct {
		word string
		set  func(v float64)
	}{
		{"over ", func(v float64) { in.low, in.lowOpen = v, true }},
		{"under ", func(v float64) { in.high, in.highOpen = v, true }},
		{"at least ", func(v float64) { in.low = v }},
		{"at most ", func(v float64) { in.high = v }},
		{"exactly ", func(v float64) { in.low, in.high = v, v }},
	} {
		if rest, ok := strings.CutPrefix(s, form.word); ok {
			v, err := quantity(rest)
			if err != nil {
				return in, bad
			}
			form.set(v)
			return in, nil
		}
	}
	return in, bad
}

// quantity reads a plain number, a duration (as seconds) or a size (as bytes).
func quantity(s string) (float64, error) {
	s = strings.TrimSpace(s)
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		return v, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d.Seconds(), nil
	}
	if Size(s).Check() == nil {
		return float64(Size(s).Bytes()), nil
	}
	return 0, fmt.Errorf("%q is no number, duration or size", s)
}
