package image

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"errors"
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
	path    lab.Path // of the main package's folder, in the lab
	folder  string   // the same, on the host
	modules map[string]string
	sources []file // every file of the folder, in order
	version string // of the toolchain
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

func newGoProgram(img lab.Image, labDir string) (*goProgram, error) {
	if err := img.Go.Check(); err != nil {
		return nil, err
	}
	return &goProgram{path: img.Go, folder: filepath.Join(labDir, string(img.Go)), modules: img.Modules}, nil
}

// read reads the source and asks for the toolchain's version.
func (p *goProgram) read(ctx context.Context) (goKey, error) {
	var err error
	if p.sources, err = readSources(p.folder); err != nil {
		return goKey{}, err
	}
	last, err := command{argv: []string{"go", "env", "GOVERSION"}, dir: "/", env: goEnv(), log: io.Discard}.run(ctx)
	if err != nil {
		return goKey{}, err
	}
	if len(last) != 1 {
		return goKey{}, fmt.Errorf("go env GOVERSION printed %q", last)
	}
	p.version = last[0]
	sources, err := archive(p.sources, time.Unix(0, 0))
	if err != nil {
		return goKey{}, err
	}
	return goKey{Kind: "go", Recipe: goRecipe, Go: p.version, Arch: runtime.GOARCH, Arguments: p.arguments(""), Modules: p.modules, Sources: sources}, nil
}

func (p *goProgram) arguments(out string) []string {
	args := []string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "."}
	if len(p.modules) > 0 { // go.mod and go.sum, those of the copy, follow the other versions
		args = slices.Insert(args, 2, "-mod=mod")
	}
	return args
}

// compile compiles a copy of the folder, which read has read: what was hashed is what is built, and nothing outside the
// folder can be read. It returns the binary, and the toolchain and modules that are in it.
func (p *goProgram) compile(ctx context.Context, tmp string, log io.Writer, say Say) ([]byte, []Package, error) {
	src, bin := filepath.Join(tmp, "src"), filepath.Join(tmp, "bin")
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
		edit := []string{"go", "mod", "edit"}
		for _, m := range p.chosen() {
			path, _, _ := strings.Cut(m, "@")
			edit = append(edit, "-dropreplace="+path, "-require="+m)
		}
		if _, err := (command{argv: edit, dir: src, env: goEnv(), log: log}).run(ctx); err != nil {
			return nil, nil, fmt.Errorf("go mod edit: %w", err)
		}
	}
	say("compiling %s with %s%s", p.path, p.version, with)
	if _, err := (command{argv: p.arguments(bin), dir: src, env: goEnv(), log: log}).run(ctx); err != nil {
		return nil, nil, fmt.Errorf("go build: %w", inLab(err, p.path))
	}
	data, err := os.ReadFile(bin)
	if err != nil {
		return nil, nil, err
	}
	in, err := buildinfo.ReadFile(bin)
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
	return data, packages, errors.Join(os.RemoveAll(src), os.Remove(bin))
}

// ownModule writes the go.mod of a folder that has none.
func (p *goProgram) ownModule(src string) error {
	if len(p.modules) > 0 {
		return fmt.Errorf("%s has no go.mod, so there is no module whose version could be another", p.path)
	}
	language := "go 1.21\n"
	if v, ok := strings.CutPrefix(p.version, "go"); ok {
		language = "go " + strings.Fields(v)[0] + "\n"
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

// goEnv keeps the user's module cache, proxy and checksum database, and nothing that would change the program. An empty
// GOFLAGS would be the one of "go env -w".
func goEnv() []string {
	env := plainEnv("CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOFLAGS=-trimpath", "GOWORK=off", "GOTOOLCHAIN=local", "GOEXPERIMENT=")
	for _, v := range os.Environ() {
		switch name, _, _ := strings.Cut(v, "="); name {
		case "GOPROXY", "GONOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "GOPRIVATE", "GOINSECURE", "GOAUTH", "GOENV", "GOVCS", "GOPATH", "GOMODCACHE", "GOCACHE", "GOROOT",
			"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR":
			env = append(env, v)
		}
	}
	return env
}

// readSources reads every file that a build of the folder can read. Test files and hidden folders are left out.
func readSources(folder string) ([]file, error) {
	all, err := readFolder(folder, func(name string, folder bool) bool {
		return folder && strings.HasPrefix(name, ".") || !folder && strings.HasSuffix(name, "_test.go")
	})
	for i := range all {
		all[i].mode = 0o644 // a program does not depend on it
	}
	return all, err
}
