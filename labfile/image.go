package labfile

import (
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/saigen-lab/saigen/lab"
)

type imageBlock struct {
	When     condition         `hcl:"when,optional"`
	Debian   string            `hcl:"debian,optional"`
	Snapshot string            `hcl:"snapshot,optional"`
	Packages []string          `hcl:"packages,optional"`
	Go       lab.Path          `hcl:"go,optional"`
	Modules  map[string]string `hcl:"modules,optional"`
	C        []cBlock          `hcl:"c,block"`
	NPM      lab.Path          `hcl:"npm,optional"`
	OCI      string            `hcl:"oci,optional"`
}

type cBlock struct {
	Output string   `hcl:"output,label"`
	Source lab.Path `hcl:"source"`
	Flags  []string `hcl:"flags,optional"`
}

var (
	suiteForm    = regexp.MustCompile(`^[a-z]+$`)
	snapshotForm = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z$`)
	// What package image takes: no name that apt would take for a file, a pattern or a removal, and no reference that podman
	// would take for one of its other transports, which read files of the host ("dir:/etc/…", "oci-archive:/…").
	packageForm = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*[a-z0-9+](=[0-9A-Za-z.+:~-]+)?$`)
	digestForm  = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*@sha256:[0-9a-f]{64}$`)
)

// suites are Debian's releases that saigen knows of, oldest first.
func suites() []string {
	return []string{"jessie", "stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"}
}

func (e *evaluator) image(d *decoder, l *lab.Lab) {
	var in imageBlock
	ok := d.decode(&in)
	e.origin(d)
	if d.has("debian") {
		e.suite(d, in.Debian)
		e.packages(d, in)
	}
	if d.good["oci"] && !digestForm.MatchString(in.OCI) {
		e.fail(d.attrRange("oci"), "Image not named by digest", "A tag may mean something else tomorrow. Name the image by its content: NAME@sha256:… with 64 hexadecimal digits.")
	}
	if d.good["oci"] {
		e.registry(d, in.OCI)
	}
	if d.good["go"] && !d.isFolder(in.Go) {
		e.fail(d.attrRange("go"), "Not a folder", "The folder of a Go program is needed here, the one that holds its main package.")
	}
	e.replaced(d, in)
	e.modules(d, in)
	e.npm(d, in.NPM)
	img := lab.Image{
		Name: d.block.Labels[0], Debian: in.Debian, Snapshot: in.Snapshot, Packages: in.Packages, Go: in.Go, Modules: in.Modules, NPM: in.NPM, OCI: in.OCI,
		Pos: position(d.subject()),
	}
	if len(in.C) == len(d.block.body.Blocks) { // otherwise a block of another name has been reported
		img.C = e.cPrograms(d, in.C)
	}
	l.Images = append(l.Images, img)
	if ok {
		d.scope.images[addressOf(d.block)] = &img
	}
}

// origin checks that the image is made from one thing, and that nothing is said of it that has no meaning there.
func (e *evaluator) origin(d *decoder) {
	var sources []string
	for _, name := range []string{"debian", "go", "oci"} {
		if d.has(name) {
			sources = append(sources, name)
		}
	}
	const rule = "An image is made from exactly one of debian (a suite), go (a program) and oci (a reference by digest), or from debian with a go program in it; it has "
	switch {
	case len(sources) == 0:
		e.fail(d.subject(), "Image needs one origin", rule+"none of them.")
	case len(sources) > 1 && d.has("oci"):
		e.fail(d.attrName(sources[1]), "Image needs one origin", rule+list(sources)+".")
	}
	if !d.has("debian") {
		for _, name := range []string{"snapshot", "packages", "npm"} {
			if d.has(name) {
				e.fail(d.attrName(name), "Only for Debian images", "%q says what is in a Debian image; this image is made from something else.", name)
			}
		}
	}
	for _, b := range d.block.body.Blocks {
		if b.Type == "c" && !d.has("debian") {
			e.fail(b.DefRange(), "Only for Debian images", "A C program is compiled with the compiler of the image's Debian suite; this image is made from something else.")
		}
	}
	if d.has("modules") && !d.has("go") {
		e.fail(d.attrName("modules"), "Only for Go programs", "\"modules\" says with which versions of its modules a Go program is built; this image has none. Say which with go.")
	}
}

func (e *evaluator) suite(d *decoder, suite string) {
	at := d.attrRange("debian")
	switch {
	case !d.good["debian"]:
	case slices.Contains([]string{"stable", "testing", "unstable", "oldstable", "oldoldstable", "experimental"}, suite):
		e.fail(at, "Moving Debian suite", "%q means another release every few years. Write the code name, such as \"bookworm\".", suite)
	case !suiteForm.MatchString(suite):
		e.fail(at, "Wrong Debian suite", "%q is not the code name of a Debian release. Write one such as \"bookworm\" or \"trixie\".", suite)
	case !slices.Contains(suites(), suite):
		if near := didYouMean(suite, suites()); near != "" {
			e.fail(at, "Unknown Debian suite", "There is no Debian release %q.%s", suite, near)
		} else {
			e.warn(at, "Unknown Debian suite", "%q is no release that this saigen knows. It is used as it is.", suite)
		}
	}
}

func (e *evaluator) packages(d *decoder, in imageBlock) {
	if d.good["snapshot"] && !snapshotForm.MatchString(in.Snapshot) {
		e.fail(d.attrRange("snapshot"), "Wrong snapshot", "A snapshot is a moment of the Debian archive, such as \"20240601T000000Z\".")
	}
	for i, p := range in.Packages {
		if !packageForm.MatchString(p) {
			e.fail(d.elementRange("packages", i), "Wrong package name", "%q is not the name of a Debian package. Write NAME or NAME=VERSION, in lower case.", p)
		} else if slices.Contains(in.Packages[:i], p) {
			e.fail(d.elementRange("packages", i), "Duplicate package", "%q is in the list already.", p)
		}
	}
}

// modules checks that the program's go.mod requires the modules, and that the versions are whole ones.
func (e *evaluator) modules(d *decoder, in imageBlock) {
	if len(in.Modules) == 0 || !d.good["modules"] || !d.good["go"] || !d.isFolder(in.Go) {
		return
	}
	required, err := d.required(in.Go)
	if err != nil {
		e.fail(d.attrName("modules"), "No usable go.mod", "Other versions of modules are built into a program by changing its go.mod, and that of %q cannot be used: %s.", in.Go, err)
		return
	}
	for _, name := range sortedKeys(in.Modules) {
		key, value := d.entryRange("modules", name)
		if !slices.Contains(required, name) {
			e.fail(key, "Module that is not required", "The go.mod of %q does not require %q, so another version of it would change nothing.%s", in.Go, name, hint(name, required, "It requires"))
			continue
		}
		if v := in.Modules[name]; module.CanonicalVersion(v) != v || module.Check(name, v) != nil {
			e.fail(value, "Wrong module version", "%q cannot be a version of %s. Write the whole version, such as \"v0.15.0\", or a pseudo-version as \"go list -m\" prints it; a branch or \"latest\" means another one tomorrow.", in.Modules[name], name)
		}
	}
}

// required lists the modules that the go.mod of a folder requires.
func (d *decoder) required(folder lab.Path) ([]string, error) {
	if d.root == nil {
		return nil, nil
	}
	name := path.Join(string(folder), "go.mod")
	data, err := d.root.ReadFile(name)
	if err != nil {
		return nil, errors.New(pathError(err))
	}
	file, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, r := range file.Require {
		all = append(all, r.Mod.Path)
	}
	return all, nil
}

// npm checks that the folder is a project whose packages are known.
func (e *evaluator) npm(d *decoder, folder lab.Path) {
	switch {
	case !d.good["npm"]:
		return
	case !d.isFolder(folder):
		e.fail(d.attrRange("npm"), "Not a folder", "The folder of a project is needed here, the one that holds its package.json and package-lock.json.")
		return
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		if in, err := d.stat(path.Join(string(folder), name)); err != nil || in {
			e.fail(d.attrRange("npm"), "Project without its packages", "%q has no %s. saigen installs exactly the packages that a lock file names: npm install --package-lock-only makes one.", folder, name)
			return
		}
	}
}

// notInImages are folders that are empty when a machine or a container starts, whatever the image has there.
var notInImages = []string{"dev", "proc", "run", "sys", "tmp"}

// linkFolders are links into /usr on every Debian system that saigen makes.
var linkFolders = []string{"bin", "lib", "lib32", "lib64", "libx32", "sbin"}

// cPrograms checks the c blocks.
func (e *evaluator) cPrograms(d *decoder, in []cBlock) []lab.CProgram {
	var all []lab.CProgram
	for i, c := range in {
		b := d.block.body.Blocks[i]
		if len(b.LabelRanges) != 1 {
			continue // reported by the decoder
		}
		at := b.LabelRanges[0]
		first, _, deep := strings.Cut(strings.TrimPrefix(c.Output, "/"), "/")
		switch {
		case !path.IsAbs(c.Output) || path.Clean(c.Output) != c.Output || !deep:
			e.fail(at, "Wrong path in the image", "%q is not where a compiled program can be. Write the absolute path of a file in the image, such as \"/usr/local/bin/NAME\" or \"/usr/local/lib/NAME.so\".", c.Output)
		case slices.Contains(notInImages, first):
			e.fail(at, "Wrong path in the image", "What an image has in /%s is not there when something runs: it is empty at every start. Use a folder such as /usr/local/bin.", first)
		case slices.Contains(linkFolders, first):
			e.fail(at, "Wrong path in the image", "In Debian /%s is a link to /usr/%s. Write \"/usr%s\".", first, first, c.Output)
		case slices.ContainsFunc(in[:i], func(o cBlock) bool { return o.Output == c.Output }):
			e.fail(at, "Duplicate program", "%s is compiled by another block already.", c.Output)
		}
		if source := b.Body.Attributes["source"]; source != nil && d.isFolder(c.Source) {
			e.fail(source.Expr.Range(), "Not a file", "One C source file is needed here. What it shares with others, include from the system's headers.")
		}
		for _, flag := range c.Flags {
			if flag == "" || strings.HasPrefix(flag, "-o") || strings.HasPrefix(flag, "@") || strings.HasPrefix(flag, "--output") {
				e.fail(b.Body.Attributes["flags"].Expr.Range(), "Wrong compiler flag", "%q cannot be a flag here: the output is the block's name, and there are no other files.", flag)
			}
		}
		all = append(all, lab.CProgram{Output: c.Output, Source: c.Source, Flags: c.Flags})
	}
	return all
}

// entryRange is where an entry of a map attribute stands, its key and its value, or the whole map where the file does not
// write it out.
func (d *decoder) entryRange(name, key string) (hcl.Range, hcl.Range) {
	whole := d.attrRange(name)
	a := d.block.body.Attributes[name]
	if a == nil {
		return whole, whole
	}
	entries, ok := a.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		return whole, whole
	}
	for _, item := range entries.Items {
		if v, diags := item.KeyExpr.Value(d.scope.ctx); !diags.HasErrors() && v.Type() == cty.String && v.AsString() == key {
			return item.KeyExpr.Range(), item.ValueExpr.Range()
		}
	}
	return whole, whole
}
