package labfile

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/saigen-lab/saigen/lab"
)

// evaluator makes one lab.Lab of the declarations for each variant.
type evaluator struct {
	*reader
	*declarations
	functions  map[string]function.Function
	existed    map[*block]bool // in at least one variant
	used       map[*block]bool // images that a machine or stack uses in at least one variant
	compose    map[string]stackRead
	faults     map[string]lab.Kind[lab.Breaker]
	assertions map[string]lab.Kind[lab.Observer]
}

func newEvaluator(r *reader, d *declarations) *evaluator {
	e := &evaluator{
		reader: r, declarations: d, functions: functions(), existed: map[*block]bool{}, used: map[*block]bool{},
		compose: map[string]stackRead{}, faults: map[string]lab.Kind[lab.Breaker]{}, assertions: map[string]lab.Kind[lab.Observer]{},
	}
	for _, k := range r.Kinds.Faults {
		e.faults[k.Name] = k
	}
	for _, k := range r.Kinds.Assertions {
		e.assertions[k.Name] = k
	}
	return e
}

// all evaluates every variant.
func (e *evaluator) all() map[string]*lab.Lab {
	labs := map[string]*lab.Lab{}
	e.kindsExist()
	for _, v := range e.variants {
		e.variant = v.String()
		labs[e.variant] = e.one(v)
	}
	e.variant = ""
	for _, b := range e.items {
		switch {
		case e.declarations.broken:
		case !e.existed[b]:
			at := b.DefRange
			if a := b.body.Attributes["when"]; a != nil {
				at = a.Expr.Range()
			}
			e.warn(at, "Block that never exists", "The condition is true in no variant. Take the block out, or correct the condition.")
		case b.Type == "image" && !e.used[b] && e.errors == 0: // a wrong reference may be the one that uses it
			e.warn(b.DefRange, "Unused image", "No machine and no stack uses this image in any variant, so it is not built. Take it out, or name it where it is needed.")
		}
	}
	return labs
}

// kindsExist complains of kinds that nobody knows, whether or not their blocks exist in some variant.
func (e *evaluator) kindsExist() {
	for _, b := range e.items {
		var names []string
		switch b.Type {
		case "fault":
			for _, k := range e.Kinds.Faults {
				names = append(names, k.Name)
			}
		case "symptom", "invariant", "ready":
			for _, k := range e.Kinds.Assertions {
				names = append(names, k.Name)
			}
		default:
			continue
		}
		if kind := b.Labels[0]; !slices.Contains(names, kind) {
			word := "assertion"
			if b.Type == "fault" {
				word = "fault"
			}
			e.fail(b.LabelRanges[0], "Unknown kind", "There is no kind of %s %q.%s The command \"saigen kinds\" explains them.", word, kind, hint(kind, names, "There is"))
		}
	}
}

// one evaluates one variant.
func (e *evaluator) one(v lab.Variant) *lab.Lab {
	l := &lab.Lab{
		Name: e.name, Title: e.title, Story: e.story, Dir: e.rootOf, From: e.From, Variant: v,
		Expect: e.expect[v.String()].verdict, Rate: e.expect[v.String()].rate, Needs: e.needed(),
	}
	s, present := e.scopeFor(v)
	for _, b := range present {
		d := newDecoder(e.reader, s, b)
		switch b.Type { // what others refer to comes first; among the rest the order as written is kept by the lists
		case "image":
			e.image(d, l)
		case "vagrant":
			s.vagrant = b
			e.vagrant(d, l)
		}
	}
	for _, b := range present {
		if b.Type == "machine" {
			e.machine(newDecoder(e.reader, s, b), l)
		}
	}
	for _, b := range present {
		if b.Type == "stack" {
			e.stack(newDecoder(e.reader, s, b), l)
		}
	}
	e.markUsed(present, l)
	e.ports(s, present, l)
	for _, b := range present {
		d := newDecoder(e.reader, s, b)
		switch b.Type {
		case "ready":
			e.assertion(d, &l.Ready)
		case "fault":
			e.fault(d, l)
		case "symptom":
			e.assertion(d, &l.Symptoms)
		case "invariant":
			e.assertion(d, &l.Invariants)
		case "remedy":
			e.remedy(d, l)
		}
	}
	e.complete(present)
	return l
}

// complete checks that the variant has what a proof needs.
func (e *evaluator) complete(present []*block) {
	has := func(word string) bool {
		return slices.ContainsFunc(present, func(b *block) bool { return b.Type == word })
	}
	if e.at.Filename == "" || e.declarations.broken || e.partial { // without a lab block, that is what is missing
		return
	}
	if !has("symptom") {
		e.fail(e.at, "Lab without a symptom", "Without a symptom nothing can be proven: there is nothing that the fault could cause. Add a symptom block.")
	}
	if !has("fault") {
		e.warn(e.at, "Lab without a fault", "Both arms are the same, so no symptom should ever appear. That is a way to look at the control arm, not at the incident.")
	}
	if !has("machine") {
		e.fail(e.at, "Lab without a machine", "There is nothing to run the lab on. Add a machine block.")
	}
}

// scopeFor finds which blocks exist in a variant, and what can be referred to.
func (e *evaluator) scopeFor(v lab.Variant) (*scope, []*block) {
	s := newScope(e.functions)
	axes := map[string]cty.Value{}
	for _, a := range e.axes {
		axes[a.Name] = cty.DynamicVal // an axis that is wrong
		s.names["axis"] = append(s.names["axis"], a.Name)
	}
	for _, c := range v {
		axes[c.Axis] = cty.StringVal(c.Value)
	}
	if s.names["axis"] == nil {
		s.names["axis"] = []string{}
	}
	s.object("axis", axes)

	var present []*block
	first := map[string]*block{}
	objects := map[string]map[string]cty.Value{"image": {}, "machine": {}, "stack": {}}
	var away []*block
	for _, b := range e.items {
		if !e.exists(s, b) {
			away = append(away, b)
			continue
		}
		e.existed[b] = true
		present = append(present, b)
		address := addressOf(b)
		if other := first[address]; other != nil {
			if len(b.Labels) == 0 {
				e.fail(b.DefRange, "Second "+b.Type+" block", "A variant has one at most; there is one at %s already. Take one of them out, or give them conditions (when) that exclude each other.", place(other.DefRange))
				continue
			}
			e.fail(b.DefRange, "Duplicate name", "%s is declared at %s already. Give one of them another name, or conditions (when) that exclude each other.", address, place(other.DefRange))
			continue
		}
		first[address] = b
		if o := objects[b.Type]; o != nil {
			o[b.Labels[0]] = cty.StringVal(address)
			s.names[b.Type] = append(s.names[b.Type], b.Labels[0])
		}
	}
	for _, b := range away {
		s.absent[addressOf(b)] = true
	}
	for word, values := range objects {
		if s.names[word] == nil {
			s.names[word] = []string{}
		}
		s.object(word, values)
	}
	return s, present
}

// exists evaluates the block's condition. A condition that is wrong is reported, and taken as true.
func (e *evaluator) exists(s *scope, b *block) bool {
	a := b.body.Attributes["when"]
	if a == nil {
		return true
	}
	only := newScope(e.functions)
	only.names["axis"], only.ctx.Variables["axis"] = s.names["axis"], s.ctx.Variables["axis"]
	v, ok := newDecoder(e.reader, only, b).evaluate(a.Expr)
	if !ok {
		return true
	}
	if v.IsNull() || v.Type() != cty.Bool {
		e.fail(a.Expr.Range(), "Condition that is not true or false", "The block exists in the variants in which this is true, such as: axis.debian == \"bookworm\".")
		return true
	}
	return v.True()
}

func addressOf(b *block) string {
	s := b.Type
	for _, l := range b.Labels {
		s += "." + l
	}
	return s
}

// markUsed remembers which images this variant uses.
func (e *evaluator) markUsed(present []*block, l *lab.Lab) {
	used := map[string]bool{}
	for _, m := range l.Machines {
		used[string(m.Image)] = true
	}
	for _, s := range l.Stacks {
		for _, i := range s.Images {
			used[string(i)] = true
		}
	}
	for _, b := range present {
		if b.Type == "image" && used[addressOf(b)] {
			e.used[b] = true
		}
	}
}

// subject is the header of the decoder's block, as a place for later complaints.
func (d *decoder) subject() hcl.Range { return d.block.DefRange }
