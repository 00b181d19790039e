package labfile

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/saigen-lab/saigen/lab"
)

// declarations are what is the same in every variant, and the blocks that are evaluated for each.
type declarations struct {
	name, title string
	story       lab.Path
	needs       []lab.Need
	at          hcl.Range // the lab block's header
	axes        []axis
	broken      bool // an axis is wrong, so the variants are not known
	variants    []lab.Variant
	expect      map[string]wanted // by the variant's text
	items       []*block
}

// wanted is what an expect block says of its variants.
type wanted struct {
	verdict lab.Verdict
	rate    lab.Rate
}

func (e wanted) String() string {
	if e.rate == "" {
		return fmt.Sprintf("%q", e.verdict)
	}
	return fmt.Sprintf("%q at a rate of %s", e.verdict, e.rate)
}

type axis struct {
	Axis
	at hcl.Range
}

type labBlock struct {
	Title string     `hcl:"title"`
	Story lab.Path   `hcl:"story,optional"`
	Needs []lab.Need `hcl:"needs,optional"`
}

type axisBlock struct {
	Values []string `hcl:"values"`
}

// declare sorts the blocks, and reads those that are the same in every variant.
func (r *reader) declare(blocks []*block) *declarations {
	d := &declarations{expect: map[string]wanted{}}
	var labs, expects []*block
	for _, b := range blocks {
		switch b.Type {
		case "lab":
			labs = append(labs, b)
		case "axis":
			r.axisBlock(d, b)
		case "expect":
			expects = append(expects, b)
		default:
			d.items = append(d.items, b)
		}
		if len(b.Labels) > 0 {
			name := len(b.Labels) - 1
			r.checkName(b.Labels[name], b.LabelRanges[name])
		}
	}
	r.labBlock(d, labs)
	if !d.broken {
		r.choices(d)
		r.expectBlocks(d, expects)
	} else {
		// What does not depend on the broken axis is still checked, in one variant that stands for all.
		d.variants = []lab.Variant{{}}
	}
	r.total = len(d.variants)
	return d
}

func (r *reader) checkName(name string, at hcl.Range) {
	if !nameForm.MatchString(name) || len(name) > 64 {
		r.fail(at, "Wrong name", "A name begins with a lower-case letter and goes on with lower-case letters, digits, \"_\" and \"-\", 64 of them at most: it becomes part of addresses, file names and container names.")
	}
}

func (r *reader) labBlock(d *declarations, labs []*block) {
	if len(labs) == 0 && r.partial {
		return
	}
	if len(labs) == 0 {
		main := hcl.Range{Filename: r.mainFile, Start: hcl.InitialPos, End: hcl.InitialPos}
		r.fail(main, "Missing lab block", "A lab file says which lab it is. Begin it with: lab \"NAME\" { title = \"what went wrong, in a line\" }.")
		return
	}
	for _, second := range labs[1:] {
		r.fail(second.DefRange, "Second lab block", "A file holds one lab; this one is declared at %s.", place(labs[0].DefRange))
	}
	b := labs[0]
	var in labBlock
	dec := newDecoder(r, nil, b)
	dec.decode(&in)
	if dec.has("title") && strings.TrimSpace(in.Title) == "" {
		r.fail(dec.attrRange("title"), "Empty title", "The title is what lists and reports show. Say in a line what went wrong.")
	}
	r.needs(dec, in.Needs)
	d.name, d.title, d.story, d.needs, d.at = b.Labels[0], in.Title, in.Story, in.Needs, b.DefRange
}

var valueForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)

func (r *reader) axisBlock(d *declarations, b *block) {
	a := axis{Axis: Axis{Name: b.Labels[0], Pos: position(b.DefRange)}, at: b.DefRange}
	before := r.errors
	if a.Name == "verdict" || a.Name == "rate" {
		r.fail(b.LabelRanges[0], "Wrong name", "An axis cannot be called %q: in expect blocks this is what the variants must get.", a.Name)
	}
	for _, other := range d.axes {
		if other.Name == a.Name {
			r.fail(b.DefRange, "Duplicate axis", "The axis %q is declared at %s already. Put all its values into one list.", a.Name, place(other.at))
			d.broken = true
			return
		}
	}
	var in axisBlock
	dec := newDecoder(r, nil, b)
	if dec.decode(&in) && len(in.Values) == 0 {
		r.fail(dec.attrRange("values"), "Axis without values", "With nothing to choose from there is no variant to run. List at least one value.")
	}
	for i, v := range in.Values {
		at := dec.elementRange("values", i)
		if !valueForm.MatchString(v) || len(v) > 64 {
			r.fail(at, "Wrong axis value", "%q cannot be written in a filter, and in the name of a folder. Use letters, digits, \".\", \"_\", \"+\" and \"-\", beginning with a letter or digit, 64 of them at most.", v)
		}
		if slices.Contains(in.Values[:i], v) {
			r.fail(at, "Duplicate axis value", "%q is in the list twice. Each value makes variants of its own.", v)
		}
	}
	if r.errors > before {
		d.broken = true
	}
	a.Values = in.Values
	d.axes = append(d.axes, a)
}

// variants makes one of each choice; the last axis changes fastest.
func (r *reader) choices(d *declarations) {
	d.variants = []lab.Variant{{}}
	for _, a := range d.axes {
		if len(d.variants)*len(a.Values) > maxVariants {
			r.fail(a.at, "Too many variants", "With this axis the lab has more than %d variants. Split it.", maxVariants)
			d.variants, d.broken = []lab.Variant{{}}, true
			return
		}
		var longer []lab.Variant
		for _, v := range d.variants {
			for _, value := range a.Values {
				longer = append(longer, append(slices.Clip(slices.Clone(v)), lab.Choice{Axis: a.Name, Value: value}))
			}
		}
		d.variants = longer
	}
	const most = 200 // with its number, a trial's folder is named by all of its values
	for _, v := range d.variants {
		if n := len(v.String()); n > most {
			r.fail(d.axes[len(d.axes)-1].at, "Too many axes", "With this axis a variant has a name of %d letters, and %d is the most: each of its trials has a folder that is called by it. Shorten the values.", n, most)
			d.broken = true
			return
		}
	}
}

// expects reads the expect blocks. Each variant must get exactly one verdict from them.
func (r *reader) expectBlocks(d *declarations, blocks []*block) {
	from := map[string]hcl.Range{}
	before := r.errors
	for _, b := range blocks {
		expect, chosen, ok := r.expectBlock(d, b)
		if !ok {
			continue
		}
		for _, v := range d.variants {
			if !slices.ContainsFunc(v, func(c lab.Choice) bool { return chosen[c.Axis] != nil && !slices.Contains(chosen[c.Axis], c.Value) }) {
				name := v.String()
				if have, twice := d.expect[name]; twice && have != expect {
					r.fail(b.DefRange, "Two verdicts for one variant", "%s must get %s by this block, and %s by the one at %s. Make one of them narrower.",
						variantName(v), expect, have, place(from[name]))
					break
				}
				d.expect[name], from[name] = expect, b.DefRange
			}
		}
	}
	if r.errors > before || r.partial {
		return // a block that could not be read may be the one that covers a variant
	}
	var missing []string
	for _, v := range d.variants {
		if d.expect[v.String()].verdict == "" {
			missing = append(missing, variantName(v))
		}
	}
	if len(missing) > 0 && len(d.at.Filename) > 0 {
		r.fail(d.at, "Variant without an expected verdict",
			"No expect block says which verdict is right for %s. Add one: expect { …  verdict = \"reproduced\" }.", and(missing[:min(len(missing), 10)]))
	}
}

func (r *reader) expectBlock(d *declarations, b *block) (expect wanted, chosen map[string][]string, ok bool) {
	before := r.errors
	dec := newDecoder(r, nil, b)
	chosen = map[string][]string{}
	var axes, verdicts []string
	for _, a := range d.axes {
		axes = append(axes, a.Name)
	}
	for _, v := range lab.Verdicts() {
		if v != lab.Inconclusive {
			verdicts = append(verdicts, string(v))
		}
	}
	for _, name := range sortedAttributes(b.body) {
		attr := b.body.Attributes[name]
		v, good := dec.evaluate(attr.Expr)
		if !good {
			continue
		}
		i := slices.Index(axes, name)
		var values []string
		var single string
		switch {
		case name != "verdict" && name != "rate" && i < 0:
			r.fail(attr.NameRange, "Unknown axis", "The lab has no axis %q.%s", name, hint(name, axes, "It has"))
			continue
		case v.IsNull():
			continue // as if left out
		case assign(v, reflect.ValueOf(&single).Elem()) == nil:
			values = []string{single}
		case name == "verdict" || name == "rate" || assign(v, reflect.ValueOf(&values).Elem()) != nil:
			r.fail(attr.Expr.Range(), "Wrong type of value", "Text is needed here, such as \"reproduced\"; for an axis, one value or a list of values.")
			continue
		}
		if name == "verdict" {
			expect.verdict = lab.Verdict(single)
			switch {
			case expect.verdict == lab.Inconclusive:
				r.fail(attr.Expr.Range(), "Verdict that cannot be expected", "Inconclusive means that saigen could not do its work; it never counts as a pass. Expect %s.", list(verdicts))
			case !slices.Contains(verdicts, single):
				r.fail(attr.Expr.Range(), "Unknown verdict", "%q is not a verdict.%s", single, hint(single, verdicts, "Verdicts are"))
			}
			continue
		}
		if name == "rate" {
			expect.rate = lab.Rate(single)
			if err := expect.rate.Check(); err != nil {
				r.fail(attr.Expr.Range(), "Wrong rate", "%v. It is how often the variants must get their verdict; without it, every time.", err)
			}
			continue
		}
		if len(values) == 0 {
			r.fail(attr.Expr.Range(), "Expect block that covers nothing", "With no value of %q this block is about no variant. List its values, or leave the axis out to cover all.", name)
		}
		for j, value := range values {
			if !slices.Contains(d.axes[i].Values, value) {
				r.fail(dec.elementRange(name, j), "Unknown axis value", "The axis %q has no value %q.%s", name, value, hint(value, d.axes[i].Values, "It has"))
			}
		}
		chosen[name] = values
	}
	for _, inner := range b.body.Blocks {
		r.fail(inner.TypeRange, "Unknown block", "expect takes no blocks.")
	}
	if !dec.has("verdict") {
		r.fail(b.DefRange, "Missing argument", "expect needs the argument \"verdict\", one of %s.", list(verdicts))
	}
	return expect, chosen, r.errors == before
}

func (d *declarations) publicAxes() []Axis {
	var axes []Axis
	for _, a := range d.axes {
		axes = append(axes, a.Axis)
	}
	return axes
}

// variantName is a variant in a sentence.
func variantName(v lab.Variant) string {
	if len(v) == 0 {
		return "the lab, which has one variant only"
	}
	return fmt.Sprintf("variant %s", v)
}
