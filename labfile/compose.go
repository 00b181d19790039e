package labfile

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/saigen-lab/saigen/lab"
)

// stackRead is what a StackReader said. Most variants of a lab have the same stacks, so it is kept.
type stackRead struct {
	stack lab.Stack
	err   error
}

// readStack has the compose file read, once for stacks that are the same in several variants.
func (e *evaluator) readStack(d *decoder, s lab.Stack) (lab.Stack, bool) {
	if e.Stacks == nil {
		return s, true
	}
	key := fmt.Sprintf("%q %q %q %q %q %q", s.Name, s.Machine, s.Account, s.Compose, s.Env, s.Images)
	got, known := e.compose[key]
	if !known {
		got.stack, got.err = e.Stacks(e.rootOf, s)
		e.compose[key] = got
	}
	if got.err == nil {
		return got.stack, true
	}
	for _, err := range leaves(got.err) {
		var p *lab.PlaceError
		if errors.As(err, &p) && p.Pos.File != "" {
			e.fail(e.outsideRange(p.Pos), capital(p.Summary), "%s", p.Detail)
		} else {
			e.fail(d.attrRange("compose"), "Wrong compose file", "%s.", err)
		}
	}
	return s, false
}

// leaves are the errors that errors.Join has joined.
func leaves(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var all []error
		for _, one := range joined.Unwrap() {
			all = append(all, leaves(one)...)
		}
		return all
	}
	return []error{err}
}

// outsideRange is a place in a file that is not HCL: from the given column to the end of what stands there.
func (e *evaluator) outsideRange(p lab.Pos) hcl.Range {
	name := e.show(filepath.Join(e.rootOf, filepath.FromSlash(p.File)))
	at := hcl.Range{Filename: name, Start: hcl.Pos{Line: p.Line, Column: max(p.Column, 1)}}
	if e.files[name] == nil {
		e.files[name] = e.readSource(p.File)
	}
	if e.files[name] == nil || p.Line < 1 {
		delete(e.files, name)
		at.End = at.Start
		return at
	}
	src := e.files[name].Bytes
	offset, line := 0, 1
	for line < p.Line && offset < len(src) {
		if src[offset] == '\n' {
			line++
		}
		offset++
	}
	stop := offset
	for stop < len(src) && src[stop] != '\n' {
		stop++
	}
	at.Start.Byte = min(offset+at.Start.Column-1, stop)
	end := at.Start.Byte
	for end < stop && src[end] != '#' && src[end] != '\r' {
		end++
	}
	for end > at.Start.Byte && src[end-1] == ' ' {
		end--
	}
	at.End = hcl.Pos{Line: p.Line, Column: at.Start.Column + end - at.Start.Byte, Byte: end}
	return at
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// isLiteral says whether an expression is written out rather than computed.
func isLiteral(e hclsyntax.Expression) bool { return len(e.Variables()) == 0 }
