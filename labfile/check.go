package labfile

import (
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/saigen-lab/saigen/lab"
)

// links are the machine and the stack that a block refers to: what its services, accounts and ports are looked up in.
// A block inside another inherits what it does not name itself.
type links struct {
	machine    *lab.Machine
	stack      *lab.Stack
	machineRef lab.MachineRef
	named      bool // the file names a machine or a stack, which may be a wrong one
	namedStack bool // the file names a stack
}

// links finds what the fields refer to. A reference that is wrong links to nothing, and is reported where it is checked.
func (d *decoder) links(body *hclsyntax.Body, fields []field, in links) links {
	if d.scope == nil {
		return in
	}
	var stacks, machines []field
	for _, f := range fields {
		switch f.value.Interface().(type) {
		case lab.StackRef:
			stacks = append(stacks, f)
		case lab.MachineRef:
			machines = append(machines, f)
		default:
			continue
		}
		in.named = in.named || body.Attributes[f.name] != nil
	}
	for _, f := range stacks {
		in.namedStack = in.namedStack || body.Attributes[f.name] != nil
		if ref := f.value.String(); ref != "" {
			in.stack, in.machineRef = d.scope.stacks[ref], ""
			if in.stack != nil {
				in.machineRef = in.stack.Machine
			}
		}
	}
	for _, f := range machines {
		if ref := f.value.String(); ref != "" {
			in.machineRef = lab.MachineRef(ref)
		}
	}
	in.machine = d.scope.machines[string(in.machineRef)]
	return in
}

// check examines a value that the file gives by what its type promises.
func (d *decoder) check(v reflect.Value, expr hclsyntax.Expression, in links) {
	at := expr.Range()
	switch x := v.Interface().(type) {
	case lab.Path:
		d.checkPath(v, x, at)
	case lab.Duration:
		d.form(x.Check(), "Wrong duration", at)
	case lab.Size:
		d.form(x.Check(), "Wrong size", at)
	case lab.Limit:
		d.form(x.Check(), "Wrong limit", at)
	case lab.Pattern:
		d.form(x.Check(), "Wrong pattern", at)
	case lab.URL:
		d.checkURL(x, at, in)
	case lab.ImageRef:
		d.checkRef(string(x), "image", at)
	case lab.MachineRef:
		d.checkRef(string(x), "machine", at)
	case lab.StackRef:
		d.checkRef(string(x), "stack", at)
	case lab.ServiceName:
		d.checkService(string(x), at, in)
	case lab.AccountName:
		d.checkAccount(string(x), at, in)
	default:
		d.checkParts(v, expr, in)
	}
}

// checkParts examines the elements of lists and maps, each at its own place where the file writes them out.
func (d *decoder) checkParts(v reflect.Value, expr hclsyntax.Expression, in links) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			d.check(v.Elem(), expr, in)
		}
	case reflect.Slice:
		parts, _ := expr.(*hclsyntax.TupleConsExpr)
		for i := range v.Len() {
			if parts != nil && len(parts.Exprs) == v.Len() {
				d.check(v.Index(i), parts.Exprs[i], in)
			} else {
				d.check(v.Index(i), expr, in)
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(it.Value())
			d.check(e, expr, in)
			v.SetMapIndex(it.Key(), e)
		}
	}
}

func (d *decoder) form(err error, summary string, at hcl.Range) {
	if err != nil {
		d.fail(at, summary, "%s.", err)
	}
}

// checkPath turns a path that is relative to the file into one that is relative to the lab's Dir.
func (d *decoder) checkPath(v reflect.Value, p lab.Path, at hcl.Range) {
	if err := p.Check(); err != nil {
		d.fail(at, "Path leaves the folder", "%s. Paths are relative to the file that they are written in, and stay in its folder, so that a lab is complete in itself.", err)
		return
	}
	if word := oddPart(string(p)); word != "" {
		d.fail(at, "Wrong path", "%q has a part that %s. Rename the file.", string(p), word)
		return
	}
	rel, err := filepath.Rel(d.rootOf, filepath.Join(d.block.base, filepath.FromSlash(string(p))))
	if err != nil || !filepath.IsLocal(rel) {
		d.fail(at, "Path in a fetched file", "This file was fetched from elsewhere. What it names by path would not lie in the lab's folder. Copy both next to the lab.")
		return
	}
	rel = filepath.ToSlash(rel)
	v.SetString(rel)
	if _, err := d.stat(rel); err != nil {
		d.fail(at, "No such file", "%q cannot be used: %s.%s", string(p), pathError(err), didYouMean(filepath.Base(rel), d.siblings(rel)))
	}
}

// siblings are the names in a path's folder.
func (d *decoder) siblings(rel string) []string {
	f, err := d.root.Open(filepath.Dir(rel)) // there is a root, or nothing would be missing in it
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // opened for reading only
	names, err := f.Readdirnames(200)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	return names
}

// isFolder says whether a path that passed checkPath is a folder.
func (d *decoder) isFolder(p lab.Path) bool {
	folder, err := d.stat(string(p))
	return err == nil && folder
}

// stat says whether a path of the lab is there, and a folder. It looks once, since every variant asks again.
func (r *reader) stat(rel string) (folder bool, err error) {
	if r.root == nil {
		return false, nil
	}
	known, ok := r.seen[rel]
	if !ok {
		st, err := r.root.Stat(rel)
		known = seen{folder: err == nil && st.IsDir(), err: err}
		r.seen[rel] = known
	}
	return known.folder, known.err
}

type seen struct {
	folder bool
	err    error
}

func (d *decoder) checkRef(address, word string, at hcl.Range) {
	first, name, ok := strings.Cut(address, ".")
	switch {
	case d.scope == nil:
		return
	case !ok || !slices.Contains([]string{"image", "machine", "stack"}, first):
		near := ""
		if slices.Contains(d.scope.names[word], address) {
			near = " Did you mean " + word + "." + address + "?"
		}
		d.fail(at, "Not an address", "%s is needed here, by its address, such as %s.NAME without quotes; %q is none.%s", capital(article(word)), word, address, near)
	case first != word:
		d.fail(at, "Reference to the wrong kind of thing", "%s is %s; %s is needed here.%s", address, article(first), article(word), d.scope.offer(word))
	case slices.Contains(d.scope.names[word], name):
	case d.partial:
		d.vague = true
	default:
		d.fail(at, "Unknown "+word, "The lab declares no %s %q.%s", word, name, hint(name, d.scope.names[word], "It declares"))
	}
}

func (d *decoder) checkService(name string, at hcl.Range, in links) {
	if in.stack == nil {
		if !in.namedStack {
			d.fail(at, "Service without a stack", "A service is looked up in a stack, and this block names none. Add stack = stack.NAME.")
		}
		return // a stack that is wrong itself has been reported
	}
	names := make([]string, len(in.stack.Services))
	for i, s := range in.stack.Services {
		if s.Name == name {
			return
		}
		names[i] = s.Name
	}
	d.fail(at, "Unknown service", "The compose file of stack.%s has no service %q.%s", in.stack.Name, name, hint(name, names, "It has"))
}

func (d *decoder) checkAccount(name string, at hcl.Range, in links) {
	if name == "" {
		d.fail(at, "Empty account", "The name of an account is needed here. Where the argument is optional, leave it out to get the default.")
		return
	}
	if in.machine == nil {
		if !in.named {
			d.fail(at, "Account without a machine", "An account is looked up on a machine, and this block names none. Add machine = machine.NAME.")
		}
		return
	}
	names := make([]string, len(in.machine.Accounts))
	for i, a := range in.machine.Accounts {
		if a.Name == name {
			return
		}
		names[i] = a.Name
	}
	if name == "root" {
		d.fail(at, "Account root", "Root is not declared, and cannot be named: commands run as root where no account is. %s has %s.", "machine."+in.machine.Name, accounts(names))
		return
	}
	d.fail(at, "Unknown account", "machine.%s has no account %q.%s Accounts are declared in the machine's block: account \"NAME\" { session = \"linger\" }.",
		in.machine.Name, name, hint(name, names, "It has"))
}

func accounts(names []string) string {
	if len(names) == 0 {
		return "no accounts"
	}
	return "the accounts " + list(names)
}

func (d *decoder) checkURL(u lab.URL, at hcl.Range, in links) {
	p, err := url.Parse(string(u))
	if err != nil || (p.Scheme != "http" && p.Scheme != "https") || p.Hostname() == "" {
		d.fail(at, "Wrong URL", "%q is not an address such as \"https://localhost:4430/\": a scheme (http or https) and a host are needed.", string(u))
		return
	}
	text := p.Port()
	if text == "" {
		text = map[string]string{"http": "80", "https": "443"}[p.Scheme]
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		d.fail(at, "Wrong URL", "The port of %q is not between 1 and 65535.", string(u))
		return
	}
	if in.stack == nil || !localhost(p) {
		return
	}
	var published []string
	for _, s := range in.stack.Services {
		if slices.Contains(s.Ports, port) {
			return
		}
		for _, n := range s.Ports {
			published = append(published, strconv.Itoa(n)+" ("+s.Name+")")
		}
	}
	d.fail(at, "Port not published", "No service of stack.%s publishes port %d on the machine, so nothing could ever answer there. Published are: %s.",
		in.stack.Name, port, and(published))
}

// readSource is a file of the lab's folder, for the snippet of a complaint about it.
func (r *reader) readSource(name string) *hcl.File {
	f, err := r.root.Open(name)
	src, err := readBounded(f, err)
	if err != nil {
		return nil
	}
	return &hcl.File{Bytes: src}
}
