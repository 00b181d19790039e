package image

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// goProgram is an image that holds one static Go program and nothing else.
type goProgram struct {
	folder  string // of the main package
	sources []file // every file of the folder, in order
	version string // of the toolchain
}

// goRecipe changes when the same source must give another image for a reason that the key does not show.
const goRecipe = 1

func newGo(img lab.Image, labDir string) (*goProgram, error) {
	if err := img.Go.Check(); err != nil {
		return nil, err
	}
	return &goProgram{folder: filepath.Join(labDir, string(img.Go))}, nil
}

func (p *goProgram) key(ctx context.Context) ([]byte, error) {
	var err error
	if p.sources, err = readSources(p.folder); err != nil {
		return nil, err
	}
	last, err := command{argv: []string{"go", "env", "GOVERSION"}, dir: "/", env: goEnv(), log: io.Discard}.run(ctx)
	if err != nil {
		return nil, err
	}
	if len(last) != 1 {
		return nil, fmt.Errorf("go env GOVERSION printed %q", last)
	}
	p.version = last[0]
	sources, err := archive(p.sources, time.Unix(0, 0))
	if err != nil {
		return nil, err
	}
	frame, err := p.frame(nil)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Kind      string
		Recipe    int
		Go, Arch  string
		Arguments []string
		Sources   []byte
		Frame     []byte
	}{"go", goRecipe, p.version, runtime.GOARCH, p.arguments(""), sources, frame})
}

func (p *goProgram) arguments(out string) []string {
	return []string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "."}
}

// build compiles a copy of the folder: what was hashed is what is built, and nothing outside the folder can be read.
func (p *goProgram) build(ctx context.Context, tmp string, log io.Writer, say Say) ([]Package, error) {
	src, bin := filepath.Join(tmp, "src"), filepath.Join(tmp, "app")
	hasModule := false
	for _, f := range p.sources {
		hasModule = hasModule || f.name == "go.mod"
		if err := writeFile(filepath.Join(src, f.name), f.data); err != nil {
			return nil, err
		}
	}
	if !hasModule {
		language := "go 1.21\n"
		if v, ok := strings.CutPrefix(p.version, "go"); ok {
			language = "go " + strings.Fields(v)[0] + "\n"
		}
		if err := writeFile(filepath.Join(src, "go.mod"), []byte("module app\n\n"+language)); err != nil {
			return nil, err
		}
	}
	say("compiling with %s", p.version)
	if _, err := (command{argv: p.arguments(bin), dir: src, env: goEnv(), log: log}).run(ctx); err != nil {
		return nil, fmt.Errorf("go build: %w", err)
	}
	data, err := os.ReadFile(bin)
	if err != nil {
		return nil, err
	}
	in, err := buildinfo.ReadFile(bin)
	if err != nil {
		return nil, err
	}
	packages := []Package{{Name: "go", Version: in.GoVersion, Arch: runtime.GOARCH}}
	for _, m := range in.Deps {
		packages = append(packages, Package{Name: m.Path, Version: m.Version})
	}
	root, err := p.frame(data)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(tmp, tarName), root, 0o644); err != nil {
		return nil, err
	}
	return packages, errors.Join(os.RemoveAll(src), os.Remove(bin))
}

// frame is the root filesystem around a program: what a container engine mounts over must be there.
func (p *goProgram) frame(bin []byte) ([]byte, error) {
	return archive([]file{
		{name: "app", mode: 0o755, data: bin},
		{name: "dev/", mode: 0o755},
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nnogroup:x:65534:\n")},
		{name: "etc/hostname", mode: 0o644},
		{name: "etc/hosts", mode: 0o644, data: []byte(hosts)},
		{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/root:/app\nnobody:x:65534:65534:nobody:/nonexistent:/app\n")},
		{name: "etc/resolv.conf", mode: 0o644},
		{name: "proc/", mode: 0o555},
		{name: "root/", mode: 0o700},
		{name: "run/", mode: 0o755},
		{name: "sys/", mode: 0o555},
		{name: "tmp/", mode: 0o1777},
	}, time.Unix(0, 0))
}

// goEnv keeps the user's module cache and proxy, and nothing that would change the program.
func goEnv() []string {
	env := plainEnv("CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "GOEXPERIMENT=")
	for _, v := range os.Environ() {
		switch name, _, _ := strings.Cut(v, "="); name {
		case "GOPROXY", "GONOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "GOPRIVATE", "GOINSECURE", "GOAUTH", "GOPATH", "GOMODCACHE", "GOCACHE", "GOROOT",
			"XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR":
			env = append(env, v)
		}
	}
	return env
}

const (
	mostSources = 10_000
	mostBytes   = 64 << 20
)

// readSources reads every file that a build of the folder can read. Test files and hidden folders are left out. A
// symlink is refused: it could lead out of the lab.
func readSources(folder string) ([]file, error) {
	var all []file
	size := 0
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel != "." && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is not a plain file", rel)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		all = append(all, file{name: filepath.ToSlash(rel), mode: 0o644, data: data})
		if size += len(data); size > mostBytes || len(all) > mostSources {
			return fmt.Errorf("the folder holds more than %d MiB or %d files; is it the right one?", mostBytes>>20, mostSources)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
