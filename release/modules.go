package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// command is the program that is released, as a folder and as a package.
const command = "cmd/saigen"

// part is something that others have written and that is in a program: a module, the standard library, or what is embedded.
type part struct {
	name    string // "github.com/spf13/cobra"
	version string // "v1.10.2"
	purl    string // a package URL
	sum     string // of a module: "h1:…", as in go.sum
	folders []string
	// Filled in by readLicences.
	licences []string // SPDX identifiers, sorted
	texts    []text   // what they, and the notices, say
}

func (p part) String() string { return strings.TrimSpace(p.name + " " + p.version) }

// goTool runs the go command in dir and returns what it prints. env is added to this process's.
func goTool(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	return output(ctx, dir, env, "go", args...)
}

func output(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot run %s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// listed is what `go list -json` says of a package.
type listed struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir, Sum string
		Main                    bool
		Replace                 *struct{ Path, Version, Dir string }
	}
}

// linked lists the modules of which packages are linked into a program, each with the folders of those packages and of those
// above them, up to the module's own; and last the standard library. The program's own module is not among them.
func linked(ctx context.Context, dir, pkg string, env ...string) ([]part, error) {
	out, err := goTool(ctx, dir, env, "list", "-deps", "-json=Dir,Standard,Module", pkg)
	if err != nil {
		return nil, err
	}
	found := map[string]*part{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("cannot read what go list prints: %w", err)
		}
		if l.Standard || l.Module == nil || l.Module.Main {
			continue
		}
		m := l.Module
		if m.Replace != nil {
			return nil, fmt.Errorf("cannot say what is linked: %s is replaced by %s", m.Path, m.Replace.Path)
		}
		p := found[m.Path]
		if p == nil {
			p = &part{name: m.Path, version: m.Version, sum: m.Sum, purl: "pkg:golang/" + m.Path + "@" + m.Version}
			found[m.Path] = p
		}
		for at := l.Dir; ; at = filepath.Dir(at) {
			if !slices.Contains(p.folders, at) {
				p.folders = append(p.folders, at)
			}
			if at == m.Dir {
				break
			}
			if !strings.HasPrefix(at, m.Dir+string(filepath.Separator)) {
				return nil, fmt.Errorf("cannot find %s below its module's folder %s", l.Dir, m.Dir)
			}
		}
	}
	var all []part
	for _, p := range found {
		slices.Sort(p.folders)
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b part) int { return strings.Compare(a.name, b.name) })
	std, err := standardLibrary(ctx, dir, env)
	return append(all, std), err
}

// standardLibrary is Go's own, which is in every program. Its licence is in the folder of the toolchain.
func standardLibrary(ctx context.Context, dir string, env []string) (part, error) {
	out, err := goTool(ctx, dir, env, "env", "GOROOT", "GOVERSION")
	if err != nil {
		return part{}, err
	}
	words := strings.Fields(string(out))
	if len(words) < 2 {
		return part{}, fmt.Errorf("cannot find Go's own folder: go env prints %q", out)
	}
	version := strings.TrimPrefix(words[1], "go")
	return part{name: "std", version: version, purl: "pkg:golang/std@" + version, folders: []string{words[0]}}, nil
}

// embedded lists what is in the program besides Go: each a folder of report/assets with a file VERSION of one line, "uPlot 1.6.32, MIT".
func embedded(root string) ([]part, error) {
	versions, err := filepath.Glob(filepath.Join(root, "report", "assets", "*", "VERSION"))
	if err != nil {
		return nil, err
	}
	var all []part
	for _, file := range versions {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read what is embedded: %w", err)
		}
		name, rest, ok := strings.Cut(strings.TrimSpace(string(data)), " ")
		version, _, _ := strings.Cut(rest, ",")
		if !ok || version == "" {
			return nil, fmt.Errorf("cannot read %s: not a name and a version", file)
		}
		all = append(all, part{name: name, version: version, purl: "pkg:npm/" + strings.ToLower(name) + "@" + version, folders: []string{filepath.Dir(file)}})
	}
	return all, nil
}

// demoPrograms lists the folders of the Go programs in the images of shipped labs: modules of their own.
func demoPrograms(root string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(filepath.Join(root, "labs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "go.mod" {
			dirs = append(dirs, filepath.Dir(path))
		}
		return err
	})
	return dirs, err
}
