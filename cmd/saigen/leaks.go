package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/container"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/runner"
	"github.com/saigen-lab/saigen/vagrant"
)

// runIDs are those that newRunID makes.
var runIDs = regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{4}`)

// whose says who takes care of what a run has on the host.
type whose int

const (
	nobodys   whose = iota // no ledger names it: nothing of saigen's will ever remove it
	abandoned              // its saigen was killed
	kept                   // left running on purpose
	underWay               // its saigen is alive
)

// presence is what one run has on this host.
type presence struct {
	id      lab.RunID // "": of no run
	whose   whose
	pid     int    // of the saigen, where it is known
	runs    string // the folder of runs with its ledger
	entries []ledger.Entry
	damaged int // lines of the ledger that cannot be read
	traces  []ledger.Trace
}

// survey is all that saigen has on this host.
type survey struct {
	runs     []*presence
	building []string // entries of the cache that are being made
	lookedAt string
	failed   []error // what could not be looked at
}

// of returns the presence of a run.
func (s *survey) of(id lab.RunID) *presence {
	i := slices.IndexFunc(s.runs, func(p *presence) bool { return p.id == id })
	if i < 0 {
		s.runs = append(s.runs, &presence{id: id})
		i = len(s.runs) - 1
	}
	return s.runs[i]
}

// know adds what a ledger says of its run.
func (s *survey) know(r ledger.Run, pid int) {
	p := s.of(r.ID)
	p.runs, p.entries, p.damaged, p.pid = filepath.Dir(r.Dir), r.Entries, r.Damaged, pid
	switch {
	case pid != 0 || ledger.Owned(r.Dir):
		p.whose = underWay
	case len(r.Entries)+r.Damaged == 0: // it ended, and has undone all
		p.whose = nobodys
	case r.Kept:
		p.whose = kept
	default:
		p.whose = abandoned
	}
}

// lookForLeaks takes the survey. It changes nothing.
func (w *world) lookForLeaks(ctx context.Context, p paths) *survey {
	s := &survey{}
	note := func(err error) {
		if err != nil {
			s.failed = append(s.failed, err)
		}
	}
	// The ledgers last: a run that ends meanwhile has then left nothing, and one that begins is known.
	inventory, err := ledger.Take()
	note(err)
	s.lookedAt = inventory.String()
	traces := slices.DeleteFunc(inventory.Traces(runIDs), func(t ledger.Trace) bool { return !mine(t) })
	for _, d := range w.drivers {
		if d.traces != nil {
			found, err := d.traces(ctx, w)
			note(err)
			traces = append(traces, found...)
		}
	}
	traces = append(traces, socketFolders(p)...)
	traces = append(traces, strayScratch(p)...)
	unfinished, err := image.New(p.cache, w.log).Unfinished()
	note(err)
	for _, u := range unfinished {
		if u.Made {
			s.building = append(s.building, u.Dir)
			continue
		}
		traces = append(traces, ledger.Trace{At: u.Dir, Leftover: ledger.Leftover{What: "half-made entry of the cache " + u.Dir, Fix: "saigen gc"}})
	}
	note(s.readLedgers(p, traces))
	for _, t := range traces {
		of := s.of(t.Run)
		of.traces = append(of.traces, t)
	}
	// A run may end between the look at the host and that at its ledger.
	s.runs = slices.DeleteFunc(s.runs, func(p *presence) bool {
		p.traces = slices.DeleteFunc(p.traces, func(t ledger.Trace) bool { return p.whose == nobodys && endedSince(t) })
		return p.whose == nobodys && len(p.traces) == 0
	})
	slices.SortStableFunc(s.runs, func(a, b *presence) int {
		return cmp.Or(cmp.Compare(b.whose, a.whose), cmp.Compare(a.id, b.id))
	})
	return s
}

// readLedgers finds the ledgers of this user's runs, those that living processes own, and those that traces lead to.
func (s *survey) readLedgers(p paths, traces []ledger.Trace) error {
	owners, err := ledger.Owners()
	errs := []error{err}
	var dirs []string
	mine, err := filepath.Glob(filepath.Join(p.runs, "*"))
	errs = append(errs, err)
	dirs = append(dirs, mine...)
	for dir := range owners {
		dirs = append(dirs, dir)
	}
	for _, t := range traces {
		if t.Dir != "" {
			dirs = append(dirs, t.Dir)
		}
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		r, err := ledger.Read(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if r.ID != "" && (len(r.Entries)+r.Damaged > 0 || owners[dir] != 0) {
			s.know(r, owners[dir])
		}
	}
	return errors.Join(errs...)
}

// endedSince says whether what a trace names has gone meanwhile.
func endedSince(t ledger.Trace) bool {
	if t.At == "" {
		return false
	}
	_, err := os.Lstat(t.At)
	return errors.Is(err, os.ErrNotExist)
}

// mine says whether this user is to look after what a trace names: the ledgers of others cannot be read. Root looks after everything.
func mine(t ledger.Trace) bool {
	var st unix.Stat_t
	return os.Getuid() == 0 || t.At != "" && unix.Lstat(t.At, &st) == nil && int(st.Uid) == os.Getuid()
}

// socketFolders lists what is in the folders of sockets: this user's, and for root those of all.
func socketFolders(p paths) []ledger.Trace {
	folders := []string{p.runtime}
	if os.Getuid() == 0 {
		for _, pattern := range []string{"/run/saigen", "/run/user/*/saigen", "/tmp/saigen-[0-9]*"} {
			found, _ := filepath.Glob(pattern) // the pattern is right
			folders = append(folders, found...)
		}
	}
	slices.Sort(folders)
	var all []ledger.Trace
	for _, folder := range slices.Compact(folders) {
		entries, _ := os.ReadDir(folder) // one that is not there has none
		for _, e := range entries {
			path := filepath.Join(folder, e.Name())
			all = append(all, ledger.Trace{
				Run: baseID(e.Name()), At: path, Leftover: ledger.Leftover{What: "sockets " + path, Fix: "rm -rf " + path},
			})
		}
	}
	return all
}

// strayScratch lists the folders of storage of runs, and what a question to Vagrant has left.
func strayScratch(p paths) []ledger.Trace {
	scratch, _ := filepath.Glob(filepath.Join(p.runs, "*", "scratch")) // the patterns are right
	var all []ledger.Trace
	for _, path := range scratch {
		all = append(all, ledger.Trace{
			Run: lab.RunID(filepath.Base(filepath.Dir(path))), At: path, Leftover: ledger.Leftover{What: "scratch " + path, Fix: "rm -rf " + path},
		})
	}
	for _, path := range vagrant.Asked() {
		all = append(all, ledger.Trace{At: path, Leftover: ledger.Leftover{What: "folder " + path, Fix: "saigen gc"}})
	}
	return all
}

// tellLeaks prints the survey, and returns the exit code that it deserves.
func (w *world) tellLeaks(s *survey, p paths) error {
	left := 0
	for _, r := range s.runs {
		if r.whose == nobodys || r.whose == abandoned {
			left++
		}
		w.tellPresence(r)
		w.tellFix(r, p)
	}
	for _, dir := range s.building {
		fmt.Fprintf(w.stdout, "the cache: %s is being made by a saigen\n", dir)
	}
	for _, err := range s.failed {
		fmt.Fprintf(w.stdout, "not looked at: %v\n", err)
	}
	fmt.Fprintf(w.stdout, "looked at %s, and at folders of saigen's\n", s.lookedAt)
	switch {
	case left > 0:
		fmt.Fprintln(w.stdout, "something is left that nobody takes care of")
		return &exitError{code: runner.ExitUnexpected}
	case len(s.failed) > 0:
		fmt.Fprintln(w.stdout, "nothing was found that nobody takes care of, but not all could be looked at")
		return &exitError{code: runner.ExitInconclusive}
	case len(s.runs)+len(s.building) > 0:
		fmt.Fprintln(w.stdout, "nothing is left that nobody takes care of")
	default:
		fmt.Fprintln(w.stdout, "nothing of saigen's is on this host")
	}
	return nil
}

// tellPresence prints what one run has.
func (w *world) tellPresence(r *presence) {
	switch {
	case r.id == "":
		fmt.Fprintln(w.stdout, "of no run")
	case r.whose == nobodys:
		fmt.Fprintf(w.stdout, "run %s: no ledger names it\n", r.id)
	case r.whose == abandoned:
		fmt.Fprintf(w.stdout, "run %s: its saigen was killed\n", r.id)
	case r.whose == kept:
		fmt.Fprintf(w.stdout, "run %s: left running\n", r.id)
	case r.pid != 0:
		fmt.Fprintf(w.stdout, "run %s: under way, by process %d\n", r.id, r.pid)
	default:
		fmt.Fprintf(w.stdout, "run %s: under way\n", r.id)
	}
	for _, e := range r.entries {
		fmt.Fprintf(w.stdout, "  %s %s\n", e.Kind, e.Path)
	}
	if r.damaged > 0 {
		fmt.Fprintf(w.stdout, "  and lines of its ledger that cannot be read: %d\n", r.damaged)
	}
	if r.whose == nobodys {
		for _, t := range r.traces {
			fmt.Fprintf(w.stdout, "  %s\n    remove it with: %s\n", t.What, t.Fix)
		}
		return
	}
	processes := 0
	for _, t := range r.traces {
		if strings.HasPrefix(t.What, "process ") {
			processes++
		} else if !named(t, r.entries) {
			fmt.Fprintf(w.stdout, "  %s\n", t.What)
		}
	}
	if processes > 0 {
		fmt.Fprintf(w.stdout, "  %s\n", plural(processes, "process", "processes"))
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// tellFix prints the command that removes what a run with a ledger has.
func (w *world) tellFix(r *presence, p paths) {
	var fix string
	switch r.whose {
	case abandoned:
		fix = "saigen gc"
	case kept:
		fix = "saigen down " + string(r.id)
	default:
		return
	}
	if state, ok := strings.CutSuffix(r.runs, "/saigen/runs"); ok && r.runs != p.runs {
		fix = "XDG_STATE_HOME=" + state + " " + fix
	}
	fmt.Fprintf(w.stdout, "  remove it with: %s\n", fix)
}

// named says whether an entry of the ledger has said the same already.
func named(t ledger.Trace, entries []ledger.Entry) bool {
	return slices.ContainsFunc(entries, func(e ledger.Entry) bool {
		return e.Path != "" && (strings.HasSuffix(t.What, " "+e.Path) || strings.HasSuffix(t.What, "/"+e.Path))
	})
}

// engineTraces lists what runs have in an engine that is not saigen's own; its own has everything in a run's cgroup and scratch.
func engineTraces(ctx context.Context, w *world) ([]ledger.Trace, error) {
	host := w.engine()
	if host == "" {
		return nil, nil
	}
	found, err := container.Traces(ctx, host)
	var all []ledger.Trace
	for _, t := range found {
		all = append(all, ledger.Trace{Run: baseID(t.Run), Leftover: ledger.Leftover{
			What: t.What + " " + t.Name, Fix: fmt.Sprintf("docker -H %s %s rm -f %s   # or podman --url", host, t.What, t.Name),
		}})
	}
	return all, err
}

func libvirtTraces(ctx context.Context, _ *world) ([]ledger.Trace, error) {
	found, err := vagrant.Traces(ctx)
	var all []ledger.Trace
	for _, t := range found {
		all = append(all, ledger.Trace{Run: baseID(t.Name), Leftover: ledger.Leftover{What: "libvirt " + t.What + " " + t.Name, Fix: t.Fix}})
	}
	return all, err
}

// baseID is the id of a run in the name of one of its things.
func baseID(name string) lab.RunID { return lab.RunID(runIDs.FindString(name)) }
