package labfile

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// KindDoc is the manual of one kind, taken from its struct and the comments in the struct's source.
type KindDoc struct {
	Name     string       `json:"name"`
	Doc      string       `json:"doc"`
	Settings []SettingDoc `json:"settings"`
}

// SettingDoc is the manual of one setting. Type is the word of the manual: "duration", "list of size", "block", …
type SettingDoc struct {
	Name     string       `json:"name"`
	Type     string       `json:"type"`
	Required bool         `json:"required"`
	Default  string       `json:"default,omitempty"` // as it is written in a lab file
	Doc      string       `json:"doc"`
	Settings []SettingDoc `json:"settings,omitempty"` // of a block
}

// Describe makes the manual of kinds. sources holds the Go files in which their structs are declared. A kind or a
// setting without a comment is an error, and so is a setting with the name of an argument that saigen adds itself.
func Describe[T any](kinds []lab.Kind[T], sources fs.FS) ([]KindDoc, error) {
	types, err := parseTypes(sources)
	if err != nil {
		return nil, err
	}
	d := &describer{types: types}
	var out []KindDoc
	for _, k := range kinds {
		v := reflect.ValueOf(k.New()).Elem()
		name := v.Type().Name()
		text := d.types[name].doc
		if text == "" {
			d.miss("kind %s: the type %s has no comment", k.Name, name)
		}
		if rest, ok := strings.CutPrefix(text, name+" "); ok {
			text = k.Name + " " + rest
		}
		kd := KindDoc{Name: k.Name, Doc: text, Settings: d.settings(k.Name, v, true)}
		for _, s := range kd.Settings {
			if slices.Contains(ownArguments(), s.Name) {
				d.miss("kind %s: the setting %s has the name of an argument that every block has", k.Name, s.Name)
			}
		}
		out = append(out, kd)
	}
	return out, errors.Join(d.missing...)
}

// ownArguments are those that saigen adds to the blocks of kinds.
func ownArguments() []string {
	var names []string
	for _, own := range []any{&faultBlock{}, &symptomBlock{}, &invariantBlock{}, &readyBlock{}} {
		for _, f := range fieldsOf(reflect.ValueOf(own).Elem()) {
			names = append(names, f.name)
		}
	}
	return names
}

type describer struct {
	types   map[string]typeSource
	missing []error
}

func (d *describer) miss(format string, args ...any) {
	d.missing = append(d.missing, fmt.Errorf("cannot describe "+format, args...))
}

// settings describes the fields of a struct, in the order of its source. defaults says whether v holds the defaults.
func (d *describer) settings(where string, v reflect.Value, defaults bool) []SettingDoc {
	var out []SettingDoc
	t := v.Type()
	for i := range t.NumField() {
		sf := t.Field(i)
		if _, tagged := sf.Tag.Lookup("hcl"); !tagged {
			if sf.Anonymous && sf.Type.Kind() == reflect.Struct {
				out = append(out, d.settings(where, v.Field(i), defaults)...)
			}
			continue
		}
		f := fieldOf(sf, v.Field(i))
		s := SettingDoc{Name: f.name, Required: !f.optional, Doc: d.types[t.Name()].fields[sf.Name]}
		if s.Doc == "" {
			d.miss("setting %s of %s: the field %s has no comment", f.name, where, sf.Name)
		}
		switch f.role {
		case roleBlock:
			s.Type, s.Settings = d.block(where+"."+f.name, v.Field(i), defaults)
		case roleLabel:
			s.Type = "label"
		default:
			s.Type = typeWord(sf.Type)
			if defaults && f.optional {
				s.Default = literal(v.Field(i))
			}
		}
		out = append(out, s)
	}
	return out
}

func (d *describer) block(where string, v reflect.Value, defaults bool) (string, []SettingDoc) {
	word, t := "block", v.Type()
	if t.Kind() == reflect.Slice {
		word, t, defaults = "blocks", t.Elem(), false
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	inner := reflect.New(t).Elem()
	switch {
	case v.Kind() == reflect.Struct:
		inner = v
	case v.Kind() == reflect.Pointer && !v.IsNil():
		inner = v.Elem()
	}
	return word, d.settings(where, inner, defaults)
}

// typeWord is what the manual calls a Go type.
func typeWord(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[lab.Path]():
		return "path"
	case reflect.TypeFor[lab.Duration]():
		return "duration"
	case reflect.TypeFor[lab.Size]():
		return "size"
	case reflect.TypeFor[lab.Pattern]():
		return "pattern"
	case reflect.TypeFor[lab.Limit]():
		return "limit"
	case reflect.TypeFor[lab.URL]():
		return "url"
	case reflect.TypeFor[lab.ImageRef]():
		return "image"
	case reflect.TypeFor[lab.MachineRef]():
		return "machine"
	case reflect.TypeFor[lab.StackRef]():
		return "stack"
	case reflect.TypeFor[lab.AccountName]():
		return "account"
	case reflect.TypeFor[lab.ServiceName]():
		return "service"
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Pointer:
		return typeWord(t.Elem())
	case reflect.Slice:
		return "list of " + typeWord(t.Elem())
	case reflect.Map:
		return "map of " + typeWord(t.Elem())
	default:
		return "number"
	}
}

// literal is a default as a lab file would write it; empty for none. A bool always has one.
func literal(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		return always(v.Elem())
	}
	if v.IsZero() && v.Kind() != reflect.Bool {
		return ""
	}
	return always(v)
}

func always(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = always(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return fmt.Sprint(v.Interface())
	}
}

type typeSource struct {
	doc    string
	fields map[string]string // comments by the field's Go name
}

// parseTypes reads the comments of all struct types in a folder of Go files, tests left out.
func parseTypes(sources fs.FS) (map[string]typeSource, error) {
	names, err := fs.Glob(sources, "*.go")
	if err != nil {
		return nil, fmt.Errorf("cannot list the sources of kinds: %w", err)
	}
	types := map[string]typeSource{}
	set := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := fs.ReadFile(sources, name)
		if err != nil {
			return nil, fmt.Errorf("cannot read the source of kinds: %w", err)
		}
		file, err := parser.ParseFile(set, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("cannot read the source of kinds: %w", err)
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok {
					collectType(types, ts, gen)
				}
			}
		}
	}
	return types, nil
}

func collectType(types map[string]typeSource, ts *ast.TypeSpec, gen *ast.GenDecl) {
	st, ok := ts.Type.(*ast.StructType)
	if !ok {
		return
	}
	comment := ts.Doc
	if comment == nil && len(gen.Specs) == 1 {
		comment = gen.Doc
	}
	src := typeSource{doc: flat(comment), fields: map[string]string{}}
	for _, f := range st.Fields.List {
		text := flat(f.Doc)
		if text == "" {
			text = flat(f.Comment)
		}
		for _, n := range f.Names {
			src.fields[n.Name] = text
		}
	}
	types[ts.Name.Name] = src
}

// flat is a comment on one line for each of its paragraphs.
func flat(c *ast.CommentGroup) string {
	text := strings.TrimSpace(c.Text())
	var paragraphs []string
	for para := range strings.SplitSeq(text, "\n\n") {
		paragraphs = append(paragraphs, strings.Join(strings.Fields(para), " "))
	}
	return strings.Join(paragraphs, "\n\n")
}
