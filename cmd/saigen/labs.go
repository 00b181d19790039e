package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/fetch"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/runner"
	"github.com/saigen-lab/saigen/stack"
)

// shorthand is how other programs write addresses: "github.com/a/b".
var shorthand = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+/`)

// findLabs lists the lab files below the given folders and files; none given: below the current folder.
func findLabs(args []string) ([]string, error) {
	return findFiles(args, "lab", "a lab is a folder with a file "+labfile.FileName, isLabFile)
}

func isLabFile(name string) bool { return name == labfile.FileName }

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
		switch {
		case err != nil && isAddress(arg):
			return nil, usage("cannot take %q: only files of this host can be changed", arg)
		case err != nil && shorthand.MatchString(arg):
			return nil, &exitError{
				code: runner.ExitUsage, err: fmt.Errorf("cannot find %q: there is no such file or folder", arg),
				hint: "A lab of a git repository is written as git::https://HOST/REPOSITORY//FOLDER?ref=COMMIT.",
			}
		case err != nil:
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

// loader reads labs; from is where the lab was fetched from, or nil. What they include from elsewhere is fetched once, and
// then lies in the cache; when ctx is done, only what is there already is found.
func (w *world) loader(ctx context.Context, from *origin) labfile.Loader {
	l := labfile.Loader{Kinds: w.kinds, Stacks: stack.Read, Fetch: func(source, checksum string) (string, error) {
		p, err := w.paths()
		if err != nil {
			return "", err
		}
		f := w.fetcher(p.cache, w.log)
		// A lab that nobody here has read must not ask around in this host's network, but where it comes from itself.
		f.Public = from != nil && fetch.HostOf(source) != fetch.HostOf(from.source)
		return f.Get(ctx, source, checksum)
	}}
	if from != nil {
		l.From, l.Within = from.address, from.root
	}
	return l
}

// load reads one lab and prints what is wrong with it.
func (w *world) load(ctx context.Context, m meant) (*labfile.File, error) {
	f, diags := w.loader(ctx, m.from).Load(m.path)
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
func (w *world) choose(ctx context.Context, args []string) (meant, *labfile.File, []*lab.Lab, error) {
	dirs, filters := splitFilters(args)
	m, err := w.oneLab(ctx, dirs, "needed")
	if err != nil {
		return m, nil, nil, err
	}
	file, labs, err := w.pick(ctx, m, filters)
	return m, file, labs, err
}

// oneLab is the one lab that a command line means, which is what to it: "needed".
func (w *world) oneLab(ctx context.Context, args []string, what string) (meant, error) {
	found, err := w.labs(ctx, args, false)
	if err != nil {
		return meant{}, err
	}
	if len(found) > 1 {
		var names []string
		for _, m := range found {
			names = append(names, cmp.Or(m.address(), m.path))
		}
		return meant{}, usage("%d labs are meant, and one is %s: %s", len(found), what, strings.Join(names, ", "))
	}
	return found[0], nil
}

func (w *world) pick(ctx context.Context, m meant, filters []string) (*labfile.File, []*lab.Lab, error) {
	f, err := w.load(ctx, m)
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
func upCommandLine(folder string, on chosenDriver) string {
	line := "saigen up " + shellWord(folder)
	if on.why == "" { // it was asked for
		line += " --driver " + on.name
	}
	return line
}
