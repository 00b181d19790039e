package labfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/saigen-lab/saigen/lab"
)

// Kinds are the faults and assertions that lab files may use.
type Kinds struct {
	Faults     []lab.Kind[lab.Breaker]
	Assertions []lab.Kind[lab.Observer]
}

// StackReader fills Services and Files of a stack from its compose file, which lies at dir/s.Compose; Files are
// relative to dir, as Compose is. A *lab.PlaceError is shown at its place, any other error at the stack's compose
// attribute; errors.Join returns several.
type StackReader func(dir string, s lab.Stack) (lab.Stack, error)

// Loader reads lab files.
type Loader struct {
	Kinds  Kinds
	Stacks StackReader
	// Fetch brings an include from elsewhere to this host, checks its sum, and returns the file, or the folder that
	// holds include.hcl. nil: such includes are an error.
	Fetch func(source, checksum string) (path string, err error)
	// From is where the lab was fetched from, with its checksum; empty: somebody of this host has written it, or read it.
	// What nobody has read is refused what would reach this host: see untrusted.go.
	From string
	// Within is the folder that was fetched, with a From: no file outside of it is read. It is absolute.
	Within string
}

// File is a lab file that has been read and found right, evaluated for every variant.
type File struct {
	Name  string
	Title string
	Path  string // of the file, as it was given to Load
	Dir   string // the lab's own folder, absolute; its lock file lies here. A Lab's Dir may be this folder's parent.
	Axes  []Axis

	variants []lab.Variant
	labs     map[string]*lab.Lab
}

// Axis is one ordered list of values.
type Axis struct {
	Name   string
	Values []string
	Pos    lab.Pos
}

// FileName is the name of the one lab file in a lab's folder.
const FileName = "lab.hcl"

// IncludeName is the file that is read when an include names a folder.
const IncludeName = "include.hcl"

const (
	maxBytes    = 256 << 10 // of one file
	maxFiles    = 64        // of one lab, includes counted
	maxVariants = 1000
)

// Load reads the lab file at path, which is a lab's folder or the file itself, with its includes. It returns all
// mistakes at once, sorted by place, and a nil File when one of them is an error.
func Load(path string, kinds Kinds, stacks StackReader) (*File, Diagnostics) {
	return Loader{Kinds: kinds, Stacks: stacks}.Load(path)
}

// Load is the function Load with everything that a Loader can be given.
func (l Loader) Load(path string) (*File, Diagnostics) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, FileName)
	}
	c := newCollector()
	r := &reader{Loader: l, collector: c, read: map[string]bool{}, seen: map[string]seen{}}
	defer r.close()
	blocks := r.readLab(path)
	if r.broken {
		return nil, c.result()
	}
	d := r.declare(blocks)
	e := newEvaluator(r, d)
	labs := e.all()
	if c.errors > 0 {
		return nil, c.result()
	}
	f := &File{
		Name: d.name, Title: d.title, Path: path, Dir: r.labDir, Axes: d.publicAxes(), variants: d.variants, labs: labs,
	}
	return f, c.result()
}

// Variants lists every variant, in the order in which the axes and their values are declared; the last axis changes
// fastest. A lab without axes has one variant, which is empty.
func (f *File) Variants() []lab.Variant { return slices.Clone(f.variants) }

// Lab is the lab as it is in one of its variants, and nil for a variant that it does not have.
func (f *File) Lab(v lab.Variant) *lab.Lab { return f.labs[v.String()] }

// pathError turns an error about a file into words without the file's name in them.
func pathError(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "it does not exist"
	}
	return err.Error()
}

func wholeFile(name string) hcl.Range { return hcl.Range{Filename: name} }

func header(label ...string) string {
	s := label[0]
	for _, l := range label[1:] {
		s += fmt.Sprintf(" %q", l)
	}
	return s
}
