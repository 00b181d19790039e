package labfile

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/saigen-lab/saigen/lab"
)

// scope is what expressions can refer to in one variant, and what is known of it.
type scope struct {
	ctx    *hcl.EvalContext
	names  map[string][]string // by first word ("axis", "image", …): the names that exist in this variant, as declared
	absent map[string]bool     // addresses that are declared, but not in this variant

	images   map[string]*lab.Image // by address; nil where the declaration is wrong
	machines map[string]*lab.Machine
	stacks   map[string]*lab.Stack
	vagrant  *block               // nil: the variant has none
	figures  map[string]hcl.Range // where each is declared, by its name
}

// newScope makes a scope with nothing in it but the functions.
func newScope(functions map[string]function.Function) *scope {
	return &scope{
		ctx:      &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: functions},
		names:    map[string][]string{},
		absent:   map[string]bool{},
		images:   map[string]*lab.Image{},
		machines: map[string]*lab.Machine{},
		stacks:   map[string]*lab.Stack{},
		figures:  map[string]hcl.Range{},
	}
}

// object makes the names of a first word available, each with its value.
func (s *scope) object(word string, values map[string]cty.Value) {
	s.ctx.Variables[word] = cty.ObjectVal(values)
}

// offer lists the addresses of a first word, as the end of a complaint.
func (s *scope) offer(word string) string {
	if len(s.names[word]) == 0 {
		return fmt.Sprintf(" The lab declares no %s.", word)
	}
	var all []string
	for _, n := range s.names[word] {
		all = append(all, word+"."+n)
	}
	return " There is " + and(all) + "."
}

// evaluate computes an expression. false: it could not, and that has been reported.
func (d *decoder) evaluate(expr hclsyntax.Expression) (cty.Value, bool) {
	before := d.errors
	d.unsure = false
	for _, t := range expr.Variables() {
		d.reference(t)
	}
	if d.vague = d.vague || d.unsure; d.unsure || d.errors > before {
		return cty.NilVal, false
	}
	var ctx *hcl.EvalContext
	if d.scope != nil {
		ctx = d.scope.ctx
	}
	v, diags := expr.Value(ctx)
	if diags.HasErrors() {
		d.add(diags[0]) // the others are echoes of the first
		return cty.NilVal, false
	}
	if !v.IsWhollyKnown() { // it comes from an axis that was reported
		d.vague = true
		return cty.NilVal, false
	}
	return v, true
}

// reference checks that what an expression refers to exists in this variant.
func (d *decoder) reference(t hcl.Traversal) {
	word, at := t.RootName(), t[0].SourceRange()
	if d.scope == nil {
		detail := "What is written here must be the same in every variant, so it cannot refer to anything. Write the value itself."
		if len(t) == 1 {
			detail += fmt.Sprintf(" If text is meant, write it in quotes: %q.", word)
		}
		d.fail(t.SourceRange(), "Reference where only a value can be", "%s", detail)
		return
	}
	names, ok := d.scope.names[word]
	if !ok {
		known := d.scope.words()
		if slices.Contains([]string{"axis", "image", "machine", "stack"}, word) {
			d.fail(at, "Reference not allowed here", "Whether a block exists can only depend on the axes: axis.NAME.")
			return
		}
		detail := didYouMean(word, known)
		if detail == "" && len(t) == 1 {
			detail = fmt.Sprintf(" If text is meant, write it in quotes: %q.", word)
		}
		d.fail(at, "Unknown reference", "Nothing is called %q here. An expression can refer to %s.%s", word, and(dotted(known)), detail)
		return
	}
	if len(t) < 2 {
		d.fail(at, "Incomplete reference", "Say which one: %s.NAME.%s", word, d.scope.offer(word))
		return
	}
	name, ok := stepName(t[1])
	stepAt := t[1].SourceRange()
	if _, isAttr := t[1].(hcl.TraverseAttr); isAttr && stepAt.End.Byte-stepAt.Start.Byte == len(name)+1 {
		stepAt.Start.Byte++ // the range begins at the dot
		stepAt.Start.Column++
	}
	switch {
	case !ok:
		d.fail(stepAt, "Unknown "+word, "A name is needed here: %s.NAME.%s", word, d.scope.offer(word))
	case slices.Contains(names, name):
		if len(t) > 2 {
			d.fail(t[2].SourceRange(), "Nothing below this address", "%s.%s is all there is to refer to; it has no parts.", word, name)
		}
	case d.scope.absent[word+"."+name]:
		d.fail(stepAt, "Not there in every variant",
			"%s.%s is declared with a condition (when) that is not true in a variant in which this block exists. Give both the same condition.", word, name)
	case d.partial:
		d.unsure = true
	default:
		d.fail(stepAt, "Unknown "+word, "The lab declares no %s %q.%s", word, name, hint(name, names, "It declares"))
	}
}

func (s *scope) words() []string {
	var words []string
	for _, w := range []string{"axis", "image", "machine", "stack"} {
		if _, ok := s.names[w]; ok {
			words = append(words, w)
		}
	}
	return words
}

func dotted(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w + ".NAME"
	}
	return out
}

func stepName(t hcl.Traverser) (string, bool) {
	switch t := t.(type) {
	case hcl.TraverseAttr:
		return t.Name, true
	case hcl.TraverseIndex:
		if t.Key.Type() == cty.String && t.Key.IsKnown() && !t.Key.IsNull() {
			return t.Key.AsString(), true
		}
	}
	return "", false
}

// functions are those that expressions may call: pure, and none that makes much out of little.
func functions() map[string]function.Function {
	return map[string]function.Function{
		"coalesce":   stdlib.CoalesceFunc,
		"compact":    stdlib.CompactFunc,
		"concat":     stdlib.ConcatFunc,
		"contains":   stdlib.ContainsFunc,
		"distinct":   stdlib.DistinctFunc,
		"element":    stdlib.ElementFunc,
		"flatten":    stdlib.FlattenFunc,
		"format":     boundedFormat(),
		"join":       stdlib.JoinFunc,
		"keys":       stdlib.KeysFunc,
		"length":     stdlib.LengthFunc,
		"lookup":     stdlib.LookupFunc,
		"lower":      stdlib.LowerFunc,
		"max":        stdlib.MaxFunc,
		"merge":      stdlib.MergeFunc,
		"min":        stdlib.MinFunc,
		"split":      stdlib.SplitFunc,
		"substr":     stdlib.SubstrFunc,
		"trimprefix": stdlib.TrimPrefixFunc,
		"trimspace":  stdlib.TrimSpaceFunc,
		"trimsuffix": stdlib.TrimSuffixFunc,
		"upper":      stdlib.UpperFunc,
		"values":     stdlib.ValuesFunc,
	}
}

var hugeWidth = regexp.MustCompile(`[0-9]{4}`)

// boundedFormat is format without the widths that would make a short lab file fill the memory.
func boundedFormat() function.Function {
	inner := stdlib.FormatFunc
	return function.New(&function.Spec{
		Params:   inner.Params(),
		VarParam: inner.VarParam(),
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			for part := range strings.SplitSeq(args[0].AsString(), "%") {
				verb, _, _ := strings.Cut(part, " ")
				if i := strings.IndexFunc(verb, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }); i >= 0 && hugeWidth.MatchString(verb[:i]) {
					return cty.NilVal, errors.New("a width of 1000 or more is not allowed")
				}
			}
			return inner.Call(args)
		},
	})
}
