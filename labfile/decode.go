package labfile

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"

	"github.com/saigen-lab/saigen/lab"
)

// decoder fills structs from one block. It follows gohcl's tags ("name", "name,optional", "name,block",
// "name,label") with its defaults (what is absent leaves the field as it was), and adds what gohcl lacks: complaints in
// the order of the file, none that only echo another, structs that are flattened when embedded, and the checks that a
// field's type asks for.
type decoder struct {
	*reader
	scope *scope
	block *block
	good  map[string]bool // arguments of the block that the file gives, and that are right
	refs  links           // what the block refers to
	vague bool            // a value is not known, for a reason that has been reported

	unsure bool // what is being evaluated refers to something that may be declared in what could not be read
}

func newDecoder(r *reader, s *scope, b *block) *decoder {
	return &decoder{reader: r, scope: s, block: b, good: map[string]bool{}}
}

// condition is the type of the argument when. evaluator.exists reads it before a block is decoded.
type condition struct{}

// decode fills the targets, pointers to structs, which share the block's attributes. It says whether all went well.
func (d *decoder) decode(targets ...any) bool {
	before := d.errors
	var fields []field
	for _, t := range targets {
		fields = append(fields, fieldsOf(reflect.ValueOf(t).Elem())...)
	}
	name := header(append([]string{d.block.Type}, d.block.Labels...)...)
	d.body(d.block.body, d.block.DefRange, name, fields, links{})
	return d.errors == before && !d.vague
}

// attrRange is where an attribute's value stands; "a.b" is attribute b of the nested block a. Without it: the block's header.
func (d *decoder) attrRange(path string) hcl.Range {
	body, at := d.block.body, d.block.DefRange
	for {
		first, rest, more := strings.Cut(path, ".")
		if a := body.Attributes[first]; a != nil {
			return a.Expr.Range()
		}
		i := slices.IndexFunc(body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == first })
		if i < 0 {
			return at
		}
		body, at = body.Blocks[i].Body, body.Blocks[i].DefRange()
		if !more {
			return at
		}
		path = rest
	}
}

// elementRange is where element i of a list attribute stands, or the whole value where the file does not write the list out.
func (d *decoder) elementRange(name string, i int) hcl.Range {
	a := d.block.body.Attributes[name]
	if a == nil {
		return d.block.DefRange
	}
	if parts, ok := a.Expr.(*hclsyntax.TupleConsExpr); ok && i < len(parts.Exprs) {
		return parts.Exprs[i].Range()
	}
	return a.Expr.Range()
}

// sortedAttributes are the names of a body's attributes, in the order of the file.
func sortedAttributes(body *hclsyntax.Body) []string {
	return slices.SortedFunc(maps.Keys(body.Attributes), func(a, b string) int {
		return cmp.Compare(body.Attributes[a].SrcRange.Start.Byte, body.Attributes[b].SrcRange.Start.Byte)
	})
}

// attrName is where an attribute's name stands.
func (d *decoder) attrName(name string) hcl.Range {
	if a := d.block.body.Attributes[name]; a != nil {
		return a.NameRange
	}
	return d.block.DefRange
}

// has says whether the block sets the attribute.
func (d *decoder) has(name string) bool { return d.block.body.Attributes[name] != nil }

type fieldRole int

const (
	roleAttr fieldRole = iota
	roleBlock
	roleLabel
)

// field is one tagged field of a struct.
type field struct {
	name     string
	role     fieldRole
	optional bool
	value    reflect.Value
}

// fieldsOf lists the tagged fields of a struct. A wrong tag panics: it is a bug in a kind, and the first test that
// decodes the kind finds it.
func fieldsOf(v reflect.Value) []field {
	var fields []field
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		_, ok := sf.Tag.Lookup("hcl")
		if !ok {
			if sf.Anonymous && sf.Type.Kind() == reflect.Struct {
				fields = append(fields, fieldsOf(v.Field(i))...)
			}
			continue
		}
		fields = append(fields, fieldOf(sf, v.Field(i)))
	}
	return fields
}

func fieldOf(sf reflect.StructField, v reflect.Value) field {
	f := field{value: v}
	var role string
	f.name, role, _ = strings.Cut(sf.Tag.Get("hcl"), ",")
	switch role {
	case "", "attr":
		f.optional = sf.Type.Kind() == reflect.Pointer
	case "optional":
		f.optional = true
	case "block":
		f.role = roleBlock
		f.optional = sf.Type.Kind() != reflect.Struct
	case "label":
		f.role = roleLabel
	default:
		panic(fmt.Sprintf("field %s has hcl tag %q, which labfile does not know", sf.Name, sf.Tag.Get("hcl")))
	}
	return f
}

// body fills fields from one body. header and name are of the block that it belongs to; outer is what the block around it refers to.
func (d *decoder) body(body *hclsyntax.Body, header hcl.Range, name string, fields []field, outer links) {
	d.unknown(body, fields, name)
	set := map[string]bool{}
	for _, f := range fields {
		if f.role == roleAttr && d.attribute(body.Attributes[f.name], header, name, f) {
			set[f.name] = true
		}
	}
	in := d.links(body, fields, outer)
	top := body == d.block.body
	if top {
		d.refs = in
	}
	for _, f := range fields {
		if set[f.name] && f.role == roleAttr {
			before := d.errors
			d.check(f.value, body.Attributes[f.name].Expr, in)
			if top && d.errors == before {
				d.good[f.name] = true
			}
		}
	}
	for _, f := range fields {
		if f.role == roleBlock {
			d.blocks(body, header, name, f, in)
		}
	}
}

// attribute evaluates one attribute into its field, and says whether the field now holds what the file says.
func (d *decoder) attribute(a *hclsyntax.Attribute, header hcl.Range, name string, f field) bool {
	if f.value.Type() == reflect.TypeFor[condition]() {
		return false
	}
	var v cty.Value
	if a != nil {
		var ok bool
		if v, ok = d.evaluate(a.Expr); !ok {
			return false
		}
	}
	if a == nil || v.IsNull() { // null is the same as leaving it out, so that a condition can do that
		if !f.optional {
			d.fail(header, "Missing argument", "%s needs the argument %q. Add it to the block.", name, f.name)
		}
		return false
	}
	if err := assign(v, f.value); err != nil {
		d.fail(a.Expr.Range(), "Wrong type of value", "The value of %q cannot be used: %s.", f.name, err)
		return false
	}
	return true
}

// assign converts a value to the field's type as HCL does, and stores it.
func assign(v cty.Value, to reflect.Value) error {
	want, err := gocty.ImpliedType(to.Interface())
	if err != nil {
		panic(fmt.Sprintf("settings of type %s cannot be read from a lab file: %s", to.Type(), err))
	}
	v, err = convert.Convert(v, want)
	if err != nil {
		return err
	}
	fresh := reflect.New(to.Type())
	if err := gocty.FromCtyValue(v, fresh.Interface()); err != nil {
		return err
	}
	to.Set(fresh.Elem())
	return nil
}

// unknown complains of what the block does not take.
func (d *decoder) unknown(body *hclsyntax.Body, fields []field, name string) {
	var attrs, blocks []string
	for _, f := range fields {
		switch f.role {
		case roleAttr:
			attrs = append(attrs, f.name)
		case roleBlock:
			blocks = append(blocks, f.name)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(body.Attributes)) {
		switch a := body.Attributes[n]; {
		case slices.Contains(attrs, n):
		case slices.Contains(blocks, n):
			d.fail(a.NameRange, "Block written as an argument", "In %s, %q is a block: write it as %s { … }, without the equals sign.", name, n, n)
		default:
			d.fail(a.NameRange, "Unknown argument", "%s takes no argument %q.%s", name, n, hint(n, attrs, "It takes"))
		}
	}
	for _, b := range body.Blocks {
		switch {
		case slices.Contains(blocks, b.Type):
		case slices.Contains(attrs, b.Type):
			d.fail(b.TypeRange, "Argument written as a block", "In %s, %q is an argument: write %s = …, with the equals sign.", name, b.Type, b.Type)
		default:
			d.fail(b.TypeRange, "Unknown block", "%s takes no block %q.%s", name, b.Type, hint(b.Type, blocks, "It takes"))
		}
	}
}

// hint is "Did you mean …?", or the list of what there is when nothing is near.
func hint(given string, options []string, intro string) string {
	if s := didYouMean(given, options); s != "" || len(options) == 0 {
		return s
	}
	sorted := slices.Sorted(slices.Values(options))
	return fmt.Sprintf(" %s %s.", intro, list(slices.Compact(sorted)))
}

// blocks fills a field from the nested blocks of its name.
func (d *decoder) blocks(body *hclsyntax.Body, header hcl.Range, name string, f field, in links) {
	var found []*hclsyntax.Block
	for _, b := range body.Blocks {
		if b.Type == f.name {
			found = append(found, b)
		}
	}
	if f.value.Kind() == reflect.Slice {
		for i, b := range found {
			if i == 0 {
				f.value.SetZero()
			}
			f.value.Set(reflect.Append(f.value, reflect.New(f.value.Type().Elem()).Elem()))
			d.nested(b, f.value.Index(i), in)
		}
		return
	}
	if len(found) > 1 {
		d.fail(found[1].DefRange(), "Second block of its kind", "%s takes one block %q only; the first is at line %d.",
			name, f.name, found[0].TypeRange.Start.Line)
	}
	if len(found) > 0 {
		d.nested(found[0], f.value, in)
	} else if !f.optional {
		d.fail(header, "Missing block", "%s needs a block %q. Add it.", name, f.name)
	}
}

// nested fills one struct, or what a pointer to one points to, from a nested block. Where the struct is a lab.Chooser, the
// arguments are those of the kind that it chooses.
func (d *decoder) nested(b *hclsyntax.Block, v reflect.Value, in links) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	fields := fieldsOf(v)
	name := header(append([]string{b.Type}, b.Labels...)...)
	labels := slices.DeleteFunc(slices.Clone(fields), func(f field) bool { return f.role != roleLabel })
	if len(labels) != len(b.Labels) {
		names := make([]string, len(labels))
		for i, l := range labels {
			names[i] = l.name
		}
		d.fail(b.DefRange(), "Wrong number of names",
			"The block %q is written with %d of them (%s), each in quotes after it; here are %d.", b.Type, len(labels), and(names), len(b.Labels))
		return
	}
	for i, l := range labels {
		l.value.SetString(b.Labels[i])
	}
	chooser, ok := v.Addr().Interface().(lab.Chooser)
	if !ok {
		d.body(b.Body, b.DefRange(), name, fields, in)
		return
	}
	settings, ok := chooser.Choose(b.Labels[0])
	if !ok {
		d.fail(b.LabelRanges[0], "Unknown kind", "The block %q takes no kind %q.%s The command \"saigen kinds\" explains them.",
			b.Type, b.Labels[0], hint(b.Labels[0], chooser.Choices(), "It takes"))
		return
	}
	fields = fieldsOf(reflect.ValueOf(settings).Elem())
	d.body(b.Body, b.DefRange(), name, fields, in)
	d.elsewhere(b, d.links(b.Body, fields, in))
}

// elsewhere has the whole block look where a kind inside it looks, when it says nothing of that itself: one assertion looks
// in one place.
func (d *decoder) elsewhere(b *hclsyntax.Block, in links) {
	switch {
	case !d.refs.named:
		d.refs = in
	case in.named && in.machine != nil && d.refs.machine != nil && in.machineRef != d.refs.machineRef:
		d.fail(b.DefRange(), "Two machines", "This looks on %s, and what was written before on %s. An assertion looks on one machine.", in.machineRef, d.refs.machineRef)
	}
}
