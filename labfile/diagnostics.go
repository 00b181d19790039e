package labfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/saigen-lab/saigen/lab"
)

// Severity says whether a lab can be run in spite of a diagnostic.
type Severity string

// An error keeps a lab from being run, a warning does not.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is one mistake, or one thing to think about, at a place in a file.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	Summary  string   `json:"summary"` // short, no user names in it
	Detail   string   `json:"detail"`  // full sentences: what was wrong, why it matters, what to do
	Place    Range    `json:"place"`   // the smallest guilty range

	file *hcl.File // the source, for the snippet; nil: not available
}

// Range is a piece of a file. Lines and columns count from 1, bytes from 0; the end is exclusive. Line 0: the file as a whole.
type Range struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"end_line"`
	EndColumn int    `json:"end_column"`

	start, end int
}

// String is the place in the form that editors and terminals take: "lab.hcl:3:7".
func (r Range) String() string {
	if r.Line == 0 {
		return r.File
	}
	return fmt.Sprintf("%s:%d:%d", r.File, r.Line, r.Column)
}

// Diagnostics are all mistakes of a lab, sorted by their place. Those of several labs can be appended.
type Diagnostics []Diagnostic

// HasErrors says whether at least one of them is an error.
func (d Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(d, func(d Diagnostic) bool { return d.Severity == Error })
}

// Error is one line for each error, so that Diagnostics can travel as an error.
func (d Diagnostics) Error() string {
	var lines []string
	for _, one := range d {
		if one.Severity == Error {
			lines = append(lines, fmt.Sprintf("%s: %s: %s", one.Place, one.Summary, one.Detail))
		}
	}
	return strings.Join(lines, "\n")
}

// collector gathers diagnostics. A mistake that is found in several variants is kept once, with the variants' names.
type collector struct {
	files   map[string]*hcl.File
	list    []*collected
	index   map[collectedKey]*collected
	variant string // of what is being evaluated; empty: nothing that depends on the variant
	total   int    // how many variants there are
	errors  int
}

type collected struct {
	diag     *hcl.Diagnostic
	variants []string // empty: does not depend on the variant
}

type collectedKey struct {
	severity hcl.DiagnosticSeverity
	summary  string
	place    hcl.Range
}

func newCollector() *collector {
	return &collector{files: map[string]*hcl.File{}, index: map[collectedKey]*collected{}}
}

func (c *collector) add(diags ...*hcl.Diagnostic) {
	for _, d := range diags {
		if d.Severity == hcl.DiagError {
			c.errors++
		}
		key := collectedKey{severity: d.Severity, summary: d.Summary}
		if d.Subject != nil {
			key.place = *d.Subject
		}
		have := c.index[key]
		if have == nil {
			have = &collected{diag: d}
			c.index[key] = have
			c.list = append(c.list, have)
		} else if len(have.variants) == 0 {
			continue
		}
		if c.variant != "" && !slices.Contains(have.variants, c.variant) {
			have.variants = append(have.variants, c.variant)
		}
	}
}

func (c *collector) fail(at hcl.Range, summary, detail string, args ...any) {
	c.add(problem(hcl.DiagError, at, summary, detail, args...))
}

func (c *collector) warn(at hcl.Range, summary, detail string, args ...any) {
	c.add(problem(hcl.DiagWarning, at, summary, detail, args...))
}

func problem(severity hcl.DiagnosticSeverity, at hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	return &hcl.Diagnostic{Severity: severity, Summary: summary, Detail: detail, Subject: &at}
}

// result is everything collected, sorted by place.
func (c *collector) result() Diagnostics {
	all := make(Diagnostics, 0, len(c.list))
	for _, e := range c.list {
		d := Diagnostic{Severity: Error, Summary: e.diag.Summary, Detail: e.diag.Detail}
		if e.diag.Severity == hcl.DiagWarning {
			d.Severity = Warning
		}
		if n := len(e.variants); n > 0 && n < c.total {
			d.Detail += "\n\n" + onlyIn(e.variants)
		}
		if e.diag.Subject != nil {
			d.Place, d.file = place(*e.diag.Subject), c.files[e.diag.Subject.Filename]
		}
		all = append(all, d)
	}
	slices.SortStableFunc(all, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line),
			cmp.Compare(a.Place.Column, b.Place.Column), cmp.Compare(a.Summary, b.Summary))
	})
	return all
}

func onlyIn(variants []string) string {
	const most = 3
	if len(variants) == 1 {
		return fmt.Sprintf("This is so in variant %s.", variants[0])
	}
	if more := len(variants) - most; more > 0 {
		return fmt.Sprintf("This is so in variants %s, and %d more.", strings.Join(variants[:most], ", "), more)
	}
	return fmt.Sprintf("This is so in variants %s.", strings.Join(variants, ", "))
}

func place(r hcl.Range) Range {
	return Range{
		File: r.Filename, Line: r.Start.Line, Column: r.Start.Column, EndLine: r.End.Line, EndColumn: r.End.Column,
		start: r.Start.Byte, end: r.End.Byte,
	}
}

func position(r hcl.Range) lab.Pos {
	return lab.Pos{File: r.Filename, Line: r.Start.Line, Column: r.Start.Column}
}
