package labfile

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// reader reads the files of one lab, and answers what lies in its folder.
type reader struct {
	Loader
	*collector
	labDir   string // the lab's own folder, absolute
	rootOf   string // the folder that all paths are relative to: labDir, or its parent when an include lies there
	root     *os.Root
	seen     map[string]seen // by path: what lies in root
	read     map[string]bool // absolute paths of the files that were read
	shown    string          // the lab's folder, as the user wrote it
	mainFile string
	// broken: a file's syntax is wrong, or it holds what must not be evaluated, so that nothing more can be said of it.
	broken bool
	// partial: a block of the top level or an included file is missing, so what is not declared may be declared there.
	partial bool
}

// block is one top-level block, and where the file that holds it lies.
type block struct {
	*hcl.Block
	body *hclsyntax.Body
	// base is the absolute folder of the file. Paths in the block are relative to it.
	base string
}

func (r *reader) close() {
	if r.root != nil {
		_ = r.root.Close() // opened for reading only
	}
}

// readLab reads the lab file and its includes. The result is in the order as written, includes in their place.
func (r *reader) readLab(path string) []*block {
	abs, err := filepath.Abs(path)
	if err != nil {
		r.fail(wholeFile(path), "Cannot read the lab file", "The path has no absolute form: %s.", err)
		r.broken = true
		return nil
	}
	r.labDir, r.shown = filepath.Dir(abs), filepath.Dir(path)
	r.rootOf, r.mainFile = r.labDir, path
	src, err := readBounded(os.Open(abs))
	if err != nil {
		r.fail(wholeFile(path), "Cannot read the lab file",
			"A lab is a folder with a file %s in it; this one cannot be read: %s.", FileName, pathError(err))
		r.broken = true
		return nil
	}
	r.read[abs] = true
	blocks := r.parse(src, path, r.labDir, false)
	if r.root, err = os.OpenRoot(r.rootOf); err != nil {
		r.fail(wholeFile(path), "Cannot read the lab's folder", "%s.", err)
		r.broken = true
	}
	return blocks
}

// parse reads one file's source and the files that it includes. base is the absolute folder of the file.
func (r *reader) parse(src []byte, name, base string, included bool) []*block {
	file, ok := r.syntax(src, name)
	if !ok {
		r.broken = true
		return nil
	}
	body := file.Body.(*hclsyntax.Body)
	if diags := forbidden(body); len(diags) > 0 {
		r.add(diags...)
		r.broken = true
	}
	content, diags := body.Content(rootSchema())
	r.add(diags...)
	r.partial = r.partial || diags.HasErrors()
	if content == nil {
		return nil
	}
	var blocks []*block
	for _, b := range content.Blocks {
		one := &block{Block: b, body: b.Body.(*hclsyntax.Body), base: base}
		switch {
		case b.Type == "include":
			before := r.errors
			blocks = append(blocks, r.include(one)...)
			r.partial = r.partial || r.errors > before
		case included && (b.Type == "lab" || b.Type == "axis" || b.Type == "expect"):
			r.fail(b.DefRange, "Block not allowed in an included file",
				"What is included is shared by several labs; %s block says what one lab is. Move it to the lab's own file.", article(b.Type))
		default:
			blocks = append(blocks, one)
		}
	}
	return blocks
}

// rootSchema is what may stand at the top of a file.
func rootSchema() *hcl.BodySchema {
	kind, name := []string{"kind", "name"}, []string{"name"}
	return &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "lab", LabelNames: name},
		{Type: "include"},
		{Type: "axis", LabelNames: name},
		{Type: "expect"},
		{Type: "image", LabelNames: name},
		{Type: "machine", LabelNames: name},
		{Type: "vagrant"},
		{Type: "stack", LabelNames: name},
		{Type: "ready", LabelNames: kind},
		{Type: "fault", LabelNames: kind},
		{Type: "symptom", LabelNames: kind},
		{Type: "invariant", LabelNames: kind},
		{Type: "remedy", LabelNames: name},
	}}
}

type includeBlock struct {
	Source   string `hcl:"source"`
	Checksum string `hcl:"checksum,optional"`
}

var remoteForm = regexp.MustCompile(`^[a-z0-9+.-]+::|^[a-z][a-z0-9+.-]*://|^[^/]+\.[a-z]+/|^git@`)

func (r *reader) include(b *block) []*block {
	var in includeBlock
	d := newDecoder(r, nil, b)
	if !d.decode(&in) {
		return nil
	}
	at := d.attrRange("source")
	switch {
	case in.Source == "":
		r.fail(at, "Empty source", "The source names the file to include, relative to this one, such as \"../shared/rootless.hcl\".")
		return nil
	case remoteForm.MatchString(in.Source) && !strings.HasPrefix(in.Source, "."):
		return r.includeRemote(b, in, at)
	case in.Checksum != "":
		r.fail(d.attrRange("checksum"), "Checksum of a local file",
			"A checksum belongs to a source from elsewhere; a local file is as much under your control as this one. Take it out.")
		return nil
	case filepath.IsAbs(in.Source):
		r.fail(at, "Include from outside", "%q is an absolute path, and means something else on every host. Write it relative to this file.", in.Source)
		return nil
	}
	path := filepath.Join(b.base, filepath.FromSlash(in.Source))
	if !inside(r.around(), path) {
		r.outside(in.Source, at)
		return nil
	}
	root, err := os.OpenRoot(r.around())
	if err != nil {
		r.fail(at, "Cannot read the included file", "The folder around the lab cannot be opened: %s.", pathError(err))
		return nil
	}
	defer func() { _ = root.Close() }()      // opened for reading only
	rel, _ := filepath.Rel(r.around(), path) // cannot fail: path is inside
	if st, err := root.Stat(rel); err == nil && st.IsDir() {
		path, rel = filepath.Join(path, IncludeName), filepath.Join(rel, IncludeName)
	}
	if r.read[path] {
		return nil // a file is read once, however often it is included
	}
	if !inside(r.labDir, path) {
		r.rootOf = filepath.Dir(r.labDir)
	}
	src, err := readBounded(root.Open(rel))
	if err != nil {
		r.fail(at, "Cannot read the included file", "%q cannot be read: %s.", in.Source, pathError(err))
		return nil
	}
	return r.parseIncluded(src, path, at)
}

// around is the folder that local includes may lie in.
func (r *reader) around() string {
	if dir := filepath.Dir(r.labDir); r.From == "" || inside(r.Within, dir) {
		return dir
	}
	return r.labDir // what lies around it is this host's
}

func (r *reader) outside(source string, at hcl.Range) {
	if r.From != "" {
		r.fail(at, "Include from outside",
			"A fetched lab may include files of its own folder, and of the folder around it as far as that was fetched with it; %q is outside, and belongs to this host. Nothing of this host is read for a lab that nobody here has read.", source)
		return
	}
	r.fail(at, "Include from outside",
		"A lab may include files from its own folder and from the folder around it, %q, where its sister labs lie; %q is outside. Move the file there.",
		filepath.Dir(r.shown), source)
}

func (r *reader) includeRemote(b *block, in includeBlock, at hcl.Range) []*block {
	if in.Checksum == "" {
		r.fail(b.DefRange, "Missing checksum",
			"What comes from elsewhere must be what was looked at when the lab was written. Add checksum = \"sha256:…\".")
		return nil
	}
	if r.Fetch == nil {
		r.fail(at, "Source from elsewhere not supported yet",
			"This saigen can only include local files. Copy the file next to the lab, and include it from there.")
		return nil
	}
	path, err := r.Fetch(in.Source, in.Checksum)
	if err != nil {
		r.fail(at, "Cannot fetch the included file", "%s.", err)
		return nil
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, IncludeName)
	}
	if r.read[path] {
		return nil
	}
	src, err := readBounded(os.Open(path))
	if err != nil {
		r.fail(at, "Cannot read the included file", "What was fetched from %q cannot be read: %s.", in.Source, pathError(err))
		return nil
	}
	return r.parseIncluded(src, path, at)
}

func (r *reader) parseIncluded(src []byte, path string, at hcl.Range) []*block {
	r.read[path] = true
	if len(r.read) > maxFiles {
		r.fail(at, "Too many files", "A lab may consist of at most %d files.", maxFiles)
		return nil
	}
	return r.parse(src, r.show(path), filepath.Dir(path), true)
}

// show is an absolute path as the user would write it: relative to where the lab's folder was named from.
func (r *reader) show(path string) string {
	if rel, err := filepath.Rel(r.labDir, path); err == nil && inside(filepath.Dir(r.labDir), path) {
		return filepath.Join(r.shown, rel)
	}
	return path
}

// inside says whether path is dir or lies in it, by their names alone.
func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

func readBounded(f *os.File, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // opened for reading only
	src, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(src) > maxBytes {
		err = fmt.Errorf("it is larger than %d KiB", maxBytes>>10)
	}
	return src, err
}

// localhost says whether a URL points to the machine itself.
func localhost(u *url.URL) bool {
	h := u.Hostname()
	return h == "localhost" || h == "::1" || strings.HasPrefix(h, "127.")
}
