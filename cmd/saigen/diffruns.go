package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	textdiff "github.com/rogpeppe/go-internal/diff"

	"github.com/saigen-lab/saigen/diff"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// diffRuns compares two runs, or two trials of one.
func (w *world) diffRuns(args []string, f diffFlags) error {
	if len(args) != 2 {
		return usage("two runs are needed: saigen diff RUN RUN; saigen runs lists them")
	}
	if f.run != "" || f.machine != "" || f.healthy {
		return usage("--run, --machine and --healthy go with --account")
	}
	trials, runs := [2][]diff.Run{}, [2]storedRun{}
	for i, arg := range args {
		var err error
		if runs[i], trials[i], err = w.trialsOf(arg); err != nil {
			return err
		}
	}
	pairs := pair(trials[0], trials[1])
	if len(pairs) == 0 {
		return usage("the runs have no variant in common; name one trial of each:\n\n    %s\n    %s",
			strings.Join(trialPaths(runs[0], trials[0]), "\n    "), strings.Join(trialPaths(runs[1], trials[1]), "\n    "))
	}
	all := shared(pairs)
	a, b := args[0], args[1]
	if x, y := filepath.Dir(a), filepath.Dir(b); x == y && x != "." { // two trials of one run
		a, b = filepath.Base(a), filepath.Base(b)
	}
	differ := f.show(w, a, b, all)
	if f.all && !f.json {
		for _, p := range changedFiles(runs[0], runs[1], pairs[0]) {
			if _, err := w.stdout.Write(p); err != nil {
				return err
			}
		}
	}
	return differ
}

// trialsOf reads the trials that an argument means: a run's id or folder, or that of one trial in it.
func (w *world) trialsOf(arg string) (storedRun, []diff.Run, error) {
	run, trial := arg, ""
	if dir, name := filepath.Split(filepath.Clean(arg)); dir != "" {
		if _, err := os.Stat(filepath.Join(arg, runInfoFile)); err != nil {
			run, trial = strings.TrimSuffix(dir, "/"), name
		}
	}
	r, err := w.stored(run)
	if err != nil {
		return r, nil, err
	}
	trials, err := w.trials(r)
	if err != nil {
		return r, nil, err
	}
	var out []diff.Run
	files := readFiles(r.folder)
	locked, err := image.ReadLock(r.folder)
	if err != nil {
		return r, nil, usage("run %s: %v", r.ID, err)
	}
	for _, t := range trials {
		name := trialFolder(t.Outcome)
		if trial != "" && name != trial {
			continue
		}
		out = append(out, diff.Run{
			Driver: r.Driver, Saigen: r.Saigen, Kernel: r.Host.Kernel,
			Host:     map[string]string{"system": r.Host.System, "cpus": strconv.Itoa(r.Host.CPUs), "architecture": r.Host.Arch, "memory": gib(r.Host.Memory)},
			Packages: packagesOf(t.Lab, locked), Files: files, Trial: t, Accounts: readAccounts(filepath.Join(r.folder, name)),
		})
	}
	if len(out) == 0 {
		return r, nil, usage("run %s has no trial %q: it has %s", r.ID, trial, strings.Join(trialNames(trials), ", "))
	}
	return r, out, nil
}

// trialFolder is the name of a trial's folder, which may have been moved since.
func trialFolder(o *runner.Outcome) string { return filepath.Base(o.Folder) }

func trialNames(all []*runner.Trial) []string {
	var out []string
	for _, t := range all {
		out = append(out, trialFolder(t.Outcome))
	}
	return out
}

func trialPaths(r storedRun, all []diff.Run) []string {
	var out []string
	for _, t := range all {
		out = append(out, string(r.ID)+"/"+trialFolder(t.Trial.Outcome))
	}
	return out
}

// pair puts the first trials of the same variant side by side; where each side has one variant only, those two.
func pair(a, b []diff.Run) [][2]diff.Run {
	var out [][2]diff.Run
	seen := map[string]bool{}
	for _, x := range a {
		v := x.Trial.Lab.Variant.String()
		i := slices.IndexFunc(b, func(y diff.Run) bool { return y.Trial.Lab.Variant.String() == v })
		if i >= 0 && !seen[v] {
			out = append(out, [2]diff.Run{x, b[i]})
		}
		seen[v] = true
	}
	other := func(r diff.Run) bool { return r.Trial.Lab.Variant.String() != b[0].Trial.Lab.Variant.String() }
	if len(out) == 0 && len(seen) == 1 && !slices.ContainsFunc(b, other) {
		out = append(out, [2]diff.Run{a[0], b[0]})
	}
	return out
}

// shared lists what differs: what differs alike in every variant once, the rest with the variant's name.
func shared(pairs [][2]diff.Run) []diff.Difference {
	var each [][]diff.Difference
	count := map[string]int{}
	key := func(d diff.Difference) string {
		data, _ := json.Marshal(d)
		return string(data)
	}
	for _, p := range pairs {
		found := diff.Runs(p[0], p[1])
		each = append(each, found)
		for _, d := range found {
			count[key(d)]++
		}
	}
	var out []diff.Difference
	told := map[string]bool{}
	for i, found := range each {
		for _, d := range found {
			switch k := key(d); {
			case count[k] == len(pairs) && told[k]:
				continue
			case count[k] == len(pairs):
				told[k] = true
			default:
				d.Name = pairs[i][0].Trial.Lab.Variant.String() + " " + d.Name
			}
			out = append(out, d)
		}
	}
	return out
}

// changedFiles shows how the text files of the labs differ that were kept of both runs.
func changedFiles(a, b storedRun, p [2]diff.Run) [][]byte {
	var names []string
	for name, f := range p[0].Files {
		if g, ok := p[1].Files[name]; ok && g.Hash != f.Hash {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out [][]byte
	for _, name := range names {
		x, err := os.ReadFile(filepath.Join(a.folder, frozenFolder, name))
		y, err2 := os.ReadFile(filepath.Join(b.folder, frozenFolder, name))
		if err == nil && err2 == nil {
			out = append(out, append([]byte("\n"), textdiff.Diff(string(a.ID)+"/"+name, x, string(b.ID)+"/"+name, y)...))
		}
	}
	return out
}

// packagesOf are the packages of a variant's images, from the lock that its run has left.
func packagesOf(l *lab.Lab, locked *image.Lock) map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, i := range l.Images {
		if packages := locked.Packages(i); packages != nil {
			out[i.Name] = packages
		}
	}
	return out
}

func gib(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }

func readFiles(folder string) map[string]diff.File {
	data, err := os.ReadFile(filepath.Join(folder, filesFile))
	var files map[string]diff.File
	if err != nil || json.Unmarshal(data, &files) != nil {
		return nil
	}
	return files
}

func readAccounts(folder string) diff.Surroundings {
	data, err := os.ReadFile(filepath.Join(folder, runner.AccountsFile))
	var s diff.Surroundings
	if err != nil || json.Unmarshal(data, &s) != nil {
		return nil
	}
	return s
}
