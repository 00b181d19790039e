package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/fetch"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/runner"
)

// meant is one lab that a command line means.
type meant struct {
	path string  // of its lab file
	from *origin // where it was fetched from; nil: it is of this host's files
}

// origin is where a fetched lab comes from.
type origin struct {
	address string // of this lab, with its sum: it means the same bytes tomorrow
	typed   string // the same as it was typed, where a branch stays a branch
	source  string // of all that came with it
	root    string // the folder of that
	lock    string // the lab's in the user's state: one for the same bytes
}

// folder is the lab as a command line names it.
func (m meant) folder() string {
	if m.from != nil {
		return m.from.typed
	}
	return filepath.Dir(m.path)
}

// address is where the lab was fetched from, with its sum; empty: it is of this host's files.
func (m meant) address() string {
	if m.from == nil {
		return ""
	}
	return m.from.address
}

var (
	addressForm = regexp.MustCompile(`^[A-Za-z0-9+.-]+::|^[A-Za-z][A-Za-z0-9+.-]*://`)
	scpForm     = regexp.MustCompile(`^[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:`)
)

// isAddress says whether an argument is the address of a lab elsewhere: it begins with a scheme, or with a getter and "::".
// A folder with such a name is written with "./" before it.
func isAddress(arg string) bool { return addressForm.MatchString(arg) || scpForm.MatchString(arg) }

// isFilter says whether an argument chooses variants: "debian:bookworm", "!debian:trixie".
func isFilter(arg string) bool {
	return strings.HasPrefix(arg, "!") || strings.Contains(arg, ":") && !strings.ContainsAny(arg, "/\\") && !isAddress(arg)
}

// splitFilters tells labs from filters on a command line.
func splitFilters(args []string) (labs, filters []string) {
	for _, a := range args {
		if isFilter(a) {
			filters = append(filters, a)
		} else {
			labs = append(labs, a)
		}
	}
	return labs, filters
}

// labs are the labs that a command line means: those below its folders and files, and those at its addresses, which are
// fetched. With relock, branches and tags are looked up again. When ctx is done, only what was fetched before is found.
func (w *world) labs(ctx context.Context, args []string, relock bool) ([]meant, error) {
	var here []string
	var all, there []meant
	p, err := w.paths()
	for _, arg := range args {
		if !isAddress(arg) {
			here = append(here, arg)
			continue
		}
		if err != nil {
			return nil, err
		}
		fetched, err := w.fetchLabs(ctx, p, arg, relock)
		if err != nil {
			return nil, err
		}
		there = append(there, fetched...)
	}
	if len(here) > 0 || len(args) == 0 {
		if len(here) == 0 {
			here = []string{"."}
		}
		found, err := findLabs(here)
		if err != nil {
			return nil, err
		}
		cache := w.fetcher(p.cache, w.log)
		for _, path := range found {
			if !cache.Holds(path) {
				all = append(all, meant{path: path})
			}
		}
		if i := slices.IndexFunc(here, cache.Holds); i >= 0 || len(all) == 0 {
			return nil, &exitError{
				code: runner.ExitUsage, err: fmt.Errorf("cannot take %s for a lab of yours: it was fetched, and nobody of this host has read it", here[max(i, 0)]),
				hint: "Name it by its address, or copy it into a folder of your own after you have read it.",
			}
		}
	}
	return append(all, there...), nil
}

// fetchLabs fetches what an address names, and finds the labs in it.
func (w *world) fetchLabs(ctx context.Context, p paths, typed string, relock bool) ([]meant, error) {
	f := w.fetcher(p.cache, w.log)
	address, err := f.ParseAddress(typed)
	if err != nil {
		return nil, usage("%v", err)
	}
	pinned, say, err := w.pin(ctx, f, p, address, relock)
	if err != nil {
		return nil, err
	}
	got, err := f.Fetch(ctx, pinned)
	if err != nil {
		return nil, &exitError{code: runner.ExitUsage, err: err}
	}
	if err := say(); err != nil {
		return nil, err
	}
	found, err := findFiles([]string{got.Path}, "lab", "a lab is a folder with a file "+labfile.FileName, isLabFile)
	if err != nil {
		return nil, usage("there is no lab at %s: a lab is a folder with a file %s", typed, labfile.FileName)
	}
	var all []meant
	for _, path := range found {
		in, err := filepath.Rel(got.Path, filepath.Dir(path))
		if filepath.Base(path) != labfile.FileName || path == got.Path {
			return nil, usage("there is no lab at %s: it is a file, and a lab is a folder with a file %s", typed, labfile.FileName)
		}
		folder, err2 := filepath.Rel(got.Root, filepath.Dir(path))
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		in = filepath.ToSlash(in)
		all = append(all, meant{path, &origin{
			address: pinned.In(in).String(), typed: address.In(in).String(), source: pinned.Source, root: got.Root,
			lock: filepath.Join(p.state(), "locks", got.Key, folder),
		}})
	}
	return all, nil
}

// pin finds out which bytes an address means. say tells what was found out and remembers it, once the bytes are here.
func (w *world) pin(ctx context.Context, f *fetch.Fetcher, p paths, a fetch.Address, relock bool) (pinned fetch.Address, say func() error, err error) {
	nothing := func() error { return nil }
	switch {
	case a.Pinned():
		return a, nothing, nil
	case !a.Git:
		return a, nothing, noChecksum(ctx, f, a)
	}
	locks, err := readPins(p)
	if err != nil {
		return a, nothing, err
	}
	was, known := locks[a.Key()]
	if known && !relock {
		return a.At(was.Commit), nothing, nil
	}
	commit, err := f.Commit(ctx, a)
	if err != nil {
		return a, nothing, &exitError{code: runner.ExitUsage, err: err}
	}
	return a.At(commit), func() error {
		switch day := was.At.Format(time.DateOnly); {
		case !known:
			fmt.Fprintf(w.stderr, "%s is commit %s, and stays it: --update-lock of saigen run looks again\n", a, commit)
		case was.Commit == commit:
			fmt.Fprintf(w.stderr, "%s is still commit %s, as on %s\n", a, commit, day)
		default:
			fmt.Fprintf(w.stderr, "%s was commit %s since %s, and is commit %s now\n", a, was.Commit, day, commit)
		}
		return lockPin(p, a.Key(), pinnedRef{Commit: commit, At: time.Now().UTC().Truncate(time.Second)})
	}, nil
}

// noChecksum refuses an archive of which nobody said what must be in it, and says what is there now.
func noChecksum(ctx context.Context, f *fetch.Fetcher, a fetch.Address) error {
	e := &exitError{code: runner.ExitUsage, err: fmt.Errorf("cannot take %s: it has no checksum, so it may be something else tomorrow, and for everybody else", a)}
	sum, err := f.SumNow(ctx, a)
	if err != nil {
		e.hint = fmt.Sprintf("Add ?checksum=sha256: and what sha256sum prints for the archive. It cannot be looked at now: %v.", err)
		return e
	}
	a.Checksum = sum
	e.hint = fmt.Sprintf("What lies there now was not looked into. If you know that its sum must be this one, write\n\n    %s", shellWord(a.String()))
	return e
}

// shellWord is a word as a shell takes it.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,@%+=", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
