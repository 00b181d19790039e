package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/fetch"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/runner"
	"github.com/saigen-lab/saigen/stack"
)

// findLabs lists the lab files below the given folders and files; none given: below the current folder.
func findLabs(args []string) ([]string, error) {
	return findFiles(args, "lab", "a lab is a folder with a file "+labfile.FileName, func(name string) bool { return name == labfile.FileName })
}

// findHCL lists the lab files and what they include.
func findHCL(args []string) ([]string, error) {
	return findFiles(args, "lab file", "their names end with .hcl", func(name string) bool { return filepath.Ext(name) == ".hcl" })
}

func findFiles(args []string, what, otherwise string, is func(name string) bool) ([]string, error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	var found []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, usage("cannot find %q: there is no such file or folder", arg)
		}
		if !info.IsDir() {
			found = append(found, arg)
			continue
		}
		before := len(found)
		err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != arg && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
				return filepath.SkipDir
			case !d.IsDir() && is(d.Name()):
				found = append(found, path)
			}
			return nil
		})
		if err != nil {
			return nil, usage("cannot look into %q: %v", arg, err)
		}
		if len(found) == before {
			return nil, usage("there is no %s in %q: %s", what, arg, otherwise)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// splitFilters tells labs from filters ("debian:bookworm", "!debian:trixie") on a command line.
func splitFilters(args []string) (labs, filters []string) {
	for _, a := range args {
		if strings.HasPrefix(a, "!") || (strings.Contains(a, ":") && !strings.ContainsAny(a, "/\\")) {
			filters = append(filters, a)
		} else {
			labs = append(labs, a)
		}
	}
	return labs, filters
}

// loader reads labs. What they include from elsewhere is fetched once, and then lies in the cache; when ctx is done,
// only what is there already is found.
func (w *world) loader(ctx context.Context) labfile.Loader {
	return labfile.Loader{Kinds: w.kinds, Stacks: stack.Read, Fetch: func(source, checksum string) (string, error) {
		p, err := w.paths()
		if err != nil {
			return "", err
		}
		return fetch.New(p.cache, w.log).Get(ctx, source, checksum)
	}}
}

// load reads one lab and prints what is wrong with it.
func (w *world) load(ctx context.Context, path string) (*labfile.File, error) {
	f, diags := w.loader(ctx).Load(path)
	if len(diags) > 0 {
		w.complain(diags)
	}
	if diags.HasErrors() {
		return nil, &exitError{code: runner.ExitUsage, said: diags.Error()}
	}
	return f, nil
}

func (w *world) complain(diags labfile.Diagnostics) {
	st := w.style(w.stderr)
	_ = diags.Write(w.stderr, st.Width, st.Color)
}

// choose is the one lab of a command line, and its variants that pass the filters.
func (w *world) choose(ctx context.Context, args []string) (*labfile.File, []*lab.Lab, error) {
	dirs, filters := splitFilters(args)
	found, err := findLabs(dirs)
	if err != nil {
		return nil, nil, err
	}
	if len(found) > 1 {
		return nil, nil, usage("%d labs are meant, and one is needed: %s", len(found), strings.Join(found, ", "))
	}
	return w.pick(ctx, found[0], filters)
}

func (w *world) pick(ctx context.Context, path string, filters []string) (*labfile.File, []*lab.Lab, error) {
	f, err := w.load(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	variants, err := f.Select(filters)
	if err != nil {
		return nil, nil, usage("%v", err)
	}
	var labs []*lab.Lab
	for _, v := range variants {
		labs = append(labs, f.Lab(v))
	}
	if len(labs) == 0 {
		return nil, nil, usage("no variant of %s passes the filters %s", f.Name, strings.Join(filters, " "))
	}
	return f, labs, nil
}

// upCommandLine is the command that brings up one variant: what a person types next.
func upCommandLine(path string, on chosenDriver) string {
	line := "saigen up " + strings.TrimSuffix(strings.TrimSuffix(path, labfile.FileName), "/")
	if on.why == "" { // it was asked for
		line += " --driver " + on.name
	}
	return line
}
