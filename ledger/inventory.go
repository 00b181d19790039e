package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Inventory is what the host had at one time, as far as a run could leave it behind. Things are compared by their key:
// a process by number and start time, a mount by its place and source, a namespace by its inode.
type Inventory struct {
	processes  map[string]process
	mounts     map[string]mount
	namespaces map[string]namespace
	links      map[string]link
	cgroups    map[string]bool // folders, v1 and v2
	files      map[string]bool
}

type process struct {
	pid     int
	name    string
	command string
	cgroups string // all hierarchies
	saigen  bool   // it runs this very binary: another saigen, or an observer of this one
}

type mount struct{ at, kind, source string }

type namespace struct {
	name  string // "net:[4026531840]"
	owner process
}

type link struct {
	name  string
	index int
}

// Take looks at the host: processes that are not kernel threads, the mounts of this process's namespace, the
// namespaces that processes are in, the links of this network namespace, all cgroups, and the files below folders. A
// folder that is not there has no files. What ends during the look is not in it.
func Take(folders ...string) (Inventory, error) {
	v := Inventory{
		processes: map[string]process{}, mounts: map[string]mount{}, namespaces: map[string]namespace{},
		links: map[string]link{}, cgroups: map[string]bool{}, files: map[string]bool{},
	}
	for _, look := range []struct {
		at string
		do func() error
	}{
		{"processes", v.takeProcesses},
		{"mounts", v.takeMounts},
		{"links", v.takeLinks},
		{"cgroups", v.takeCgroups},
		{"files", func() error { return v.takeFiles(folders) }},
	} {
		if err := look.do(); err != nil {
			return Inventory{}, fmt.Errorf("cannot list the host's %s: %w", look.at, err)
		}
	}
	return v, nil
}

// String counts what was looked at: "143 processes, 20 mounts, …".
func (v Inventory) String() string {
	return fmt.Sprintf("%d processes, %d mounts, %d namespaces, %d links, %d cgroups, %d files",
		len(v.processes), len(v.mounts), len(v.namespaces), len(v.links), len(v.cgroups), len(v.files))
}

// kernelThread is PF_KTHREAD in a process's flags.
const kernelThread = 0x00200000

func (v Inventory) takeProcesses() error {
	all, err := procfs.AllProcs()
	if err != nil {
		return err
	}
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return err
	}
	for _, p := range all {
		stat, err := p.Stat()
		if err != nil || stat.Flags&kernelThread != 0 || stat.State == "Z" {
			continue // a zombie holds nothing but its number, until its parent looks
		}
		words, _ := p.CmdLine()
		q := process{pid: p.PID, name: stat.Comm, command: strings.Join(words, " ")}
		if groups, err := p.Cgroups(); err == nil {
			for _, g := range groups {
				q.cgroups += g.Path + "\n"
			}
		}
		if exe, err := os.Stat(fmt.Sprintf("/proc/%d/exe", p.PID)); err == nil {
			q.saigen = os.SameFile(self, exe)
		}
		v.processes[fmt.Sprintf("%d %d", p.PID, stat.Starttime)] = q
		spaces, err := p.Namespaces()
		if err != nil {
			continue
		}
		for kind, n := range spaces {
			name := fmt.Sprintf("%s:[%d]", strings.TrimSuffix(kind, "_for_children"), n.Inode)
			if _, ok := v.namespaces[name]; !ok {
				v.namespaces[name] = namespace{name, q}
			}
		}
	}
	return nil
}

func (v Inventory) takeMounts() error {
	mounts, err := procfs.GetMounts()
	if err != nil {
		return err
	}
	for _, m := range mounts {
		n := mount{unescape(m.MountPoint), m.FSType, unescape(m.Source)}
		v.mounts[strings.Join([]string{n.at, n.kind, n.source, m.Root, m.MajorMinorVer}, "\n")] = n
	}
	return nil
}

func (v Inventory) takeLinks() error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		a := l.Attrs()
		v.links[strconv.Itoa(a.Index)+" "+a.Name] = link{a.Name, a.Index}
	}
	return nil
}

func (v Inventory) takeCgroups() error {
	var roots []string
	for _, m := range v.mounts {
		if m.kind == "cgroup" || m.kind == "cgroup2" {
			roots = append(roots, m.at)
		}
	}
	for _, root := range roots {
		if err := walk(root, true, v.cgroups); err != nil {
			return err
		}
	}
	// Where v2 is not mounted it has cgroups all the same; a normal user cannot see those, and made none.
	h, err := OpenHierarchy()
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	found := map[string]bool{}
	if err := walk(h.Path()+"/", true, found); err != nil {
		return err
	}
	for path := range found {
		v.cgroups["v2:"+strings.TrimPrefix(strings.TrimPrefix(path, h.Path()), "/")] = true
	}
	return nil
}

func (v Inventory) takeFiles(folders []string) error {
	for _, f := range folders {
		if err := walk(f, false, v.files); err != nil {
			return err
		}
	}
	return nil
}

// walk adds everything below root that is on root's own file system: what is mounted there is among the mounts. What
// vanishes during the walk is not in it.
func walk(root string, foldersOnly bool, into map[string]bool) error {
	var device uint64
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ENODEV) {
			return nil
		}
		if err != nil {
			return err
		}
		if path != root && (d.IsDir() || !foldersOnly) {
			into[path] = true
		}
		if !d.IsDir() {
			return nil
		}
		var stat unix.Stat_t
		if unix.Lstat(path, &stat) != nil {
			return fs.SkipDir
		}
		if path == root {
			device = stat.Dev
		}
		if stat.Dev != device {
			return fs.SkipDir
		}
		return nil
	})
}
