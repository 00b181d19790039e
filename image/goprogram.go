package image

import (
	"bytes"
	"cmp"
	"context"
	"debug/buildinfo"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// goProgram is a Go program of the lab, which becomes one static binary.
type goProgram struct {
	cache     *Cache
	path      lab.Path // of the main package's folder
	labDir    string
	modules   map[string]string
	sources   []file // every file of the folder, in order
	toolchain goToolchain
}

// goRecipe changes when the same source must give another program for a reason that the key does not show.
const goRecipe = 1

// goKey is all that a program depends on.
type goKey struct {
	Kind      string
	Recipe    int
	Go, Arch  string
	Arguments []string
	Modules   map[string]string `json:",omitempty"`
	Sources   []byte
	Frame     []byte `json:",omitempty"` // what is around it in an image of its own
}

func (c *Cache) newGoProgram(img lab.Image, labDir string) (*goProgram, error) {
	if err := img.Go.Check(); err != nil {
		return nil, err
	}
	return &goProgram{cache: c, path: img.Go, labDir: labDir, modules: img.Modules}, nil
}

// read reads the source and asks for the toolchain's version.
func (p *goProgram) read(ctx context.Context) (goKey, error) {
	var err error
	if p.sources, err = readSources(p.labDir, p.path); err != nil {
		return goKey{}, err
	}
	if p.toolchain, err = findGo(ctx); err != nil {
		return goKey{}, err
	}
	sources, err := archive(p.sources, time.Unix(0, 0))
	if err != nil {
		return goKey{}, err
	}
	return goKey{Kind: "go", Recipe: goRecipe, Go: p.toolchain.Version, Arch: runtime.GOARCH, Arguments: p.arguments(""), Modules: p.modules, Sources: sources}, nil
}

func (p *goProgram) arguments(out string) []string {
	args := []string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "."}
	if len(p.modules) > 0 { // go.mod and go.sum, those of the copy, follow the other versions
		args = slices.Insert(args, 2, "-mod=mod")
	}
	return args
}

// compile compiles a copy of the folder, which read has read, in a sandbox: what was hashed is what is built, and nothing
// else can be read. It returns the binary, and the toolchain and modules that are in it.
func (p *goProgram) compile(ctx context.Context, tmp string, log io.Writer, say Say) ([]byte, []Package, error) {
	box := goSandbox{program: p, tmp: filepath.Join(tmp, "go")}
	src, bin := box.at("src"), box.at("bin")
	hasModule := false
	for _, f := range p.sources {
		hasModule = hasModule || f.name == "go.mod"
		if err := writeFile(filepath.Join(src, f.name), f.data); err != nil {
			return nil, nil, err
		}
	}
	if !hasModule {
		if err := p.ownModule(src); err != nil {
			return nil, nil, err
		}
	}
	with := ""
	if len(p.modules) > 0 {
		with = ", " + strings.Join(p.chosen(), ", ")
	}
	say("compiling %s with %s%s", p.path, p.toolchain.Version, with)
	if err := box.run(ctx, log, say); err != nil {
		return nil, nil, fmt.Errorf("go build: %w", inLab(err, p.path))
	}
	data, err := readPlain(bin)
	if err != nil {
		return nil, nil, err
	}
	in, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil {
		return nil, nil, err
	}
	packages := []Package{{Name: "go", Version: in.GoVersion, Arch: runtime.GOARCH, From: fromGo}}
	for _, m := range in.Deps {
		if m.Replace != nil {
			m = &debug.Module{Path: m.Path, Version: cmp.Or(m.Replace.Version, m.Version)}
		}
		packages = append(packages, Package{Name: m.Path, Version: m.Version, From: fromGo})
	}
	if err := p.got(packages); err != nil {
		return nil, nil, err
	}
	return data, packages, os.RemoveAll(box.tmp)
}

// ownModule writes the go.mod of a folder that has none.
func (p *goProgram) ownModule(src string) error {
	if len(p.modules) > 0 {
		return fmt.Errorf("%s has no go.mod, so there is no module whose version could be another", p.path)
	}
	language := "go 1.21\n"
	if v, ok := strings.CutPrefix(p.toolchain.Version, "go"); ok {
		numbers := strings.SplitN(strings.Fields(v)[0], ".", 3) // before 1.21, go.mod takes no third one
		language = "go " + strings.Join(numbers[:min(2, len(numbers))], ".") + "\n"
	}
	return writeFile(filepath.Join(src, "go.mod"), []byte("module app\n\n"+language))
}

// chosen lists the modules as the go command writes them, in order.
func (p *goProgram) chosen() []string {
	var all []string
	for _, path := range slices.Sorted(maps.Keys(p.modules)) {
		all = append(all, path+"@"+p.modules[path])
	}
	return all
}

// got says whether the program has the versions that were asked for. Go takes a later one where another module needs it,
// and leaves out a module that nothing imports.
func (p *goProgram) got(packages []Package) error {
	for _, path := range slices.Sorted(maps.Keys(p.modules)) {
		i := slices.IndexFunc(packages, func(m Package) bool { return m.Name == path })
		switch {
		case i < 0:
			return fmt.Errorf("the program in %s does not contain %s: nothing in it imports the module, so its version changes nothing", p.path, path)
		case packages[i].Version != p.modules[path]:
			return fmt.Errorf("the program in %s contains %s %s, not %s: another of its modules needs the later version; give that one an earlier version too", p.path, path, packages[i].Version, p.modules[path])
		}
	}
	return nil
}

// readSources reads every file that a build of the folder can read. Test files and hidden folders are left out.
func readSources(labDir string, folder lab.Path) ([]file, error) {
	all, err := readFolder(labDir, folder, func(name string, folder bool) bool {
		return folder && strings.HasPrefix(name, ".") || !folder && strings.HasSuffix(name, "_test.go")
	})
	for i := range all {
		all[i].mode = 0o644 // a program does not depend on it
	}
	return all, err
}

// name is what the program is called in an image.
func (p *goProgram) name() string { return filepath.Base(filepath.Join(p.labDir, string(p.path))) }
