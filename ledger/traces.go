package ledger

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Trace is something on the host that carries the id of a run, whoever made it.
type Trace struct {
	Leftover
	Run lab.RunID
	// At is a path that is there as long as the thing is, and whose owner is the thing's; empty where it has none.
	At string
	// Dir is the folder of the run's ledger, where the trace shows it; it may be that of another user or state folder.
	Dir string
}

// Traces lists everything in an inventory that carries the id of a run, sorted. id finds ids. Of folders and cgroups only the topmost
// is listed, and of namespaces the processes that are in them. A process counts when it is in a cgroup of a run, or when its command
// names the run's folder of sockets, its scratch folder or an object of its name: who reads the evidence of a run is no part of it.
func (v Inventory) Traces(id *regexp.Regexp) []Trace {
	var all []Trace
	add := func(run, at, dir, fix, what string, args ...any) {
		all = append(all, Trace{Leftover{What: fmt.Sprintf(what, args...), Fix: fix}, lab.RunID(run), at, dir})
	}
	for _, p := range v.processes {
		run, dir := inCommand(id, p.command)
		if of := id.FindString(p.cgroups); of != "" {
			run = of
		} else if p.saigen {
			continue // the agent and the engine are in cgroups
		}
		if run == "" {
			run = id.FindString(p.name)
		}
		if run != "" {
			add(run, fmt.Sprintf("/proc/%d", p.pid), dir, fmt.Sprintf("kill -9 %d", p.pid), "process %d (%s)", p.pid, p.name)
		}
	}
	for _, m := range v.mounts {
		for _, name := range []string{m.at, m.source} {
			if run := id.FindString(name); run != "" {
				add(run, "", runFolder(name, run), "umount "+quote(m.at), "mount of %s (%s) on %s", m.source, m.kind, m.at)
				break
			}
		}
	}
	for _, l := range v.links {
		if run := id.FindString(l.name); run != "" {
			add(run, "", "", "ip link delete "+quote(l.name), "network link %s", l.name)
		}
	}
	topmost := map[string]string{}
	for at := range v.cgroups {
		if run := id.FindString(path.Base(at)); run != "" && id.FindString(path.Dir(at)) == "" {
			// A hybrid host shows v2 at two places.
			name := strings.TrimPrefix(path.Base(at), "v2:")
			if was, ok := topmost[name]; !ok || strings.HasPrefix(was, "v2:") {
				topmost[name] = at
			}
		}
	}
	for name, at := range topmost {
		add(id.FindString(at), strings.TrimPrefix(at, "v2:"+name), "", removeCgroup(at), "cgroup %s", at)
	}
	for at := range v.files {
		if run := id.FindString(path.Base(at)); run != "" && id.FindString(path.Dir(at)) == "" {
			add(run, at, "", "rm -rf "+quote(at), "file %s", at)
		}
	}
	slices.SortFunc(all, func(a, b Trace) int { return strings.Compare(a.What, b.What) })
	return all
}

// inCommand finds the run that a process is a part of, and the run's folder where that is named, too.
func inCommand(id *regexp.Regexp, command string) (run, dir string) {
	program, _, _ := strings.Cut(command, " ")
	for _, at := range id.FindAllStringIndex(command, -1) {
		of, before, after := command[at[0]:at[1]], command[:at[0]], command[at[1]:]
		switch {
		case strings.HasSuffix(before, "/runs/"):
			if strings.HasPrefix(after, "/scratch") {
				run, dir = of, runFolder(command[strings.LastIndexAny(before, " =,:")+1:], of)
			}
		case strings.HasSuffix(before, "/") && after != "" && strings.Contains("/-", after[:1]), strings.HasSuffix(before, "saigen-"), at[0] < len(program):
			run = of
		}
	}
	return run, dir
}

// runFolder is the folder of a run in which a path is, if it is in one.
func runFolder(name, run string) string {
	before, _, ok := strings.Cut(name, "/runs/"+run+"/")
	if !ok || !filepath.IsAbs(before) {
		return ""
	}
	return before + "/runs/" + run
}

// Owners finds the folders of all ledgers that living processes own, with the process: also those of other state folders, and, for
// root, of other users.
func Owners() (map[string]int, error) {
	found, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, err
	}
	owners := map[string]int{}
	for _, fd := range found {
		to, err := os.Readlink(fd)
		if err != nil || path.Base(to) != lockName || !Owned(path.Dir(to)) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(fd, "/proc/%d/", &pid); err == nil {
			owners[path.Dir(to)] = pid
		}
	}
	return owners, nil
}
