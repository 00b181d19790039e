package ledger

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/saigen-lab/saigen/lab"
)

// Leftover is one thing that was not there before.
type Leftover struct {
	What string // "process 4711 (conmon) in cgroup /saigen-…"
	Fix  string // the command that removes it
}

func (l Leftover) String() string { return l.What + "; remove it with: " + l.Fix }

// Scope says which new things count.
type Scope struct {
	run      lab.RunID
	anything bool
	cgroup   string // with anything: of processes only those in it, and those of the run; empty: all
}

// OfRun counts what carries the run's id: processes in its cgroup or with its folders on their command line, the
// namespaces of those, mounts, links, cgroups and files with the id in their name. Another saigen's things never count.
func OfRun(run lab.RunID) Scope { return Scope{run: run} }

// EverythingOf counts every difference, but of processes and their namespaces only those in a cgroup of the v2 hierarchy,
// in which saigen was started, and those of the run: other processes come and go on every host. cgroup is its name below the root.
func EverythingOf(cgroup string, run lab.RunID) Scope {
	return Scope{run: run, anything: true, cgroup: "/" + cgroup}
}

// Left says what after has that before had not, sorted.
func (before Inventory) Left(after Inventory, of Scope) []Leftover {
	var left []Leftover
	add := func(fix string, what string, args ...any) {
		left = append(left, Leftover{What: fmt.Sprintf(what, args...), Fix: fix})
	}
	for key, p := range after.processes {
		if _, ok := before.processes[key]; !ok && of.process(p) {
			add(fmt.Sprintf("kill -9 %d", p.pid), "process %d (%s)", p.pid, p.name)
		}
	}
	for key, n := range after.namespaces {
		if _, ok := before.namespaces[key]; !ok && of.process(n.owner) {
			add(fmt.Sprintf("kill -9 %d", n.owner.pid), "namespace %s of process %d (%s)", n.name, n.owner.pid, n.owner.name)
		}
	}
	for key, m := range after.mounts {
		if _, ok := before.mounts[key]; !ok && (of.name(m.at) || of.name(m.source)) {
			add("umount "+quote(m.at), "mount of %s (%s) on %s", m.source, m.kind, m.at)
		}
	}
	for key, l := range after.links {
		if _, ok := before.links[key]; !ok && of.name(l.name) {
			add("ip link delete "+quote(l.name), "network link %s", l.name)
		}
	}
	for path := range after.cgroups {
		if !before.cgroups[path] && of.name(path) {
			add(removeCgroup(path), "cgroup %s", path)
		}
	}
	for path := range after.files {
		if !before.files[path] && of.name(path) {
			add("rm -rf "+quote(path), "file %s", path)
		}
	}
	slices.SortFunc(left, func(a, b Leftover) int { return strings.Compare(a.What, b.What) })
	return left
}

func (s Scope) process(p process) bool {
	if s.cgroup != "" {
		for group := range strings.Lines(p.cgroups) {
			if strings.HasPrefix(strings.TrimSuffix(group, "\n")+"/", s.cgroup+"/") {
				return true
			}
		}
		return OfRun(s.run).process(p)
	}
	return s.name(p.cgroups) || (!p.saigen && s.name(p.command))
}

// name says whether a name carries the run's id as a whole word: "saigen-r1" is not of run "r".
func (s Scope) name(name string) bool {
	if s.anything {
		return true
	}
	id := string(s.run)
	for rest := name; id != ""; {
		i := strings.Index(rest, id)
		if i < 0 {
			return false
		}
		end := i + len(id)
		if (i == 0 || !inWord(rest[i-1])) && (end == len(rest) || !inWord(rest[end])) {
			return true
		}
		rest = rest[i+1:]
	}
	return false
}

func inWord(c byte) bool { return unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) }

// removeCgroup is a command for a cgroup that still may have processes.
func removeCgroup(path string) string {
	if name, ok := strings.CutPrefix(path, "v2:"); ok {
		return "rmdir " + quote("/sys/fs/cgroup/"+name) + " (or below /sys/fs/cgroup/unified)"
	}
	return "rmdir " + quote(path)
}

// quote makes a path one word of a shell command.
func quote(path string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-:@+=", r)
	}
	if path != "" && strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
