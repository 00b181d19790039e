package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// passwd reads one line of getent passwd.
func passwd(line string) (Who, bool) {
	f := strings.Split(strings.TrimSpace(line), ":")
	if len(f) < 7 {
		return Who{}, false
	}
	return Who{Name: f[0], UID: f[2], GID: f[3], Home: f[5], Shell: f[6]}, true
}

// properties reads lines of NAME=VALUE, as loginctl and systemctl show print them.
func properties(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			out[name] = value
		}
	}
	return out
}

// counted makes one fact of all things that look the same: "session tty by sshd" is there "twice".
func counted(what string, all []string) []Fact {
	n := map[string]int{}
	for _, s := range all {
		n[s]++
	}
	var out []Fact
	for _, s := range slices.Sorted(maps.Keys(n)) {
		out = append(out, Fact{Name: strings.TrimSpace(what + " " + s), Value: times(n[s])})
	}
	return out
}

func times(n int) string {
	if n == 1 {
		return "there"
	}
	return fmt.Sprintf("%d times", n)
}

// process is a line of ps.
type process struct{ uid, pid, stat, comm, cgroup string }

// processes reads ps -o uid=,pid=,stat=,comm:32=,cgroup=. A command's name may have blanks in it.
func processes(text string) []process {
	var out []process
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		p := process{uid: f[0], pid: f[1], stat: f[2], comm: strings.Join(f[3:len(f)-1], " ")}
		p.cgroup = f[len(f)-1]
		if i := strings.LastIndex(p.cgroup, "0::"); i >= 0 { // the v2 hierarchy, where there are others
			p.cgroup = p.cgroup[i+len("0::"):]
		}
		out = append(out, p)
	}
	return out
}

var sessionScope = regexp.MustCompile(`/session-[^/]+\.scope`)

const (
	underManager = "under the user manager"
	inSession    = "in a login session"
)

// place says where a process of an account lives.
func (p process) place(w Who) string {
	slice := "/user.slice/user-" + w.UID + ".slice/"
	switch {
	case strings.HasPrefix(p.cgroup, slice+"user@"+w.UID+".service"):
		return underManager
	case strings.HasPrefix(p.cgroup, slice) && sessionScope.MatchString(p.cgroup):
		return inSession
	case strings.HasPrefix(p.cgroup, slice):
		return "in the account's slice, outside any session"
	}
	return "outside the account's slice, in " + anonymous(p.cgroup)
}

// own says whether a process is saigen's, which is there to hold sessions and to look.
func (p process) own() bool { return p.comm == "saigen" || p.comm == "ps" && p.uid == "0" }

// processFacts are an account's processes by name and place. Orphans are those that no session and no user manager holds:
// they outlived the one that they were started in. open says whether the account has a login session.
func processFacts(all []process, w Who, open bool) (orphans, others []Fact) {
	var out, in []string
	for _, p := range all {
		if p.uid != w.UID || p.own() || shortLived[p.comm] {
			continue
		}
		place := p.place(w)
		held := place == underManager || place == inSession && open
		if place == inSession && !open {
			place += " that has ended"
		}
		name := p.comm + " " + place
		if strings.HasPrefix(p.stat, "Z") {
			name = "zombie of " + name
		}
		if held {
			in = append(in, name)
		} else {
			out = append(out, name)
		}
	}
	return counted("", out), counted("", in)
}

// shortLived are processes whose being there is chance.
var shortLived = map[string]bool{"sleep": true, "systemd-tmpfiles": true, "(sd-pam)": true}

// dnsFacts reads the files of aardvark-dns as grep -r prints them, and counts the addresses that each name has.
// See incidents: a line is "ID IPV4[,…] IPV6[,…] NAME[,…]", and the first line of a file has the addresses to listen on.
func dnsFacts(text string) []Fact {
	n := map[string]int{}
	for line := range strings.Lines(text) {
		file, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		fields := strings.Split(rest, " ")
		if !ok || path.Base(file) == "aardvark.pid" || len(fields) < 4 || len(fields[0]) != 64 {
			continue
		}
		first, _, _ := strings.Cut(fields[3], ",")
		n[path.Base(file)+": "+first]++
	}
	var out []Fact
	for _, name := range slices.Sorted(maps.Keys(n)) {
		value := "1 address"
		if n[name] > 1 {
			value = fmt.Sprintf("%d addresses", n[name])
		}
		out = append(out, Fact{Name: name, Value: value})
	}
	return out
}

// configFacts reads files as grep -r prints them: a fact for each setting of an ini or toml file, and for each other line.
func configFacts(home, text string) []Fact {
	var out []Fact
	section := map[string]string{}
	lines := map[string]int{}
	for line := range strings.Lines(text) {
		file, s, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		s = strings.TrimSpace(s)
		if !ok || s == "" || strings.HasPrefix(s, "#") || strings.HasPrefix(s, ";") {
			continue
		}
		name := "~" + strings.TrimPrefix(file, home)
		if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
			section[file] = s + " "
			continue
		}
		setting, value, ok := strings.Cut(s, "=")
		if ok && isSetting.MatchString(strings.TrimSpace(setting)) {
			setting, value = strings.TrimSpace(setting), strings.TrimSpace(value)
			if Secret(setting) {
				value = Masked
			}
			out = append(out, Fact{Name: name + " " + section[file] + setting, Value: Mask(value)})
			continue
		}
		lines[file]++
		out = append(out, Fact{Name: fmt.Sprintf("%s line %d", name, lines[file]), Value: Mask(s)})
	}
	slices.SortStableFunc(out, func(a, b Fact) int { return strings.Compare(a.Name, b.Name) })
	return out
}

var isSetting = regexp.MustCompile(`^[\w.-]+$`)

// subordinate reads the lines of /etc/subuid and /etc/subgid: where a range begins differs by nature.
func subordinate(text string) []Fact {
	size := map[string]int{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == 4 {
			n, _ := strconv.Atoi(f[3])
			size[path.Base(f[0])] += n
		}
	}
	var out []Fact
	for _, file := range []string{"subuid", "subgid"} {
		value := "no range"
		if n := size[file]; n > 0 {
			value = fmt.Sprintf("%d ids", n)
		}
		out = append(out, Fact{Name: "/etc/" + file, Value: value})
	}
	return out
}

// environment reads env -0. What a shell counts is no difference.
func environment(text string) []Fact {
	var out []Fact
	for _, v := range strings.Split(text, "\x00") {
		name, value, ok := strings.Cut(v, "=")
		switch {
		case !ok:
		case name == "MANAGERPID", name == "_", name == "SHLVL", name == "INVOCATION_ID", name == "JOURNAL_STREAM", name == "SYSTEMD_EXEC_PID", name == "XDG_SESSION_ID", name == "MEMORY_PRESSURE_WATCH":
		case Secret(name):
			out = append(out, Fact{Name: name, Value: Masked})
		default:
			out = append(out, Fact{Name: name, Value: Mask(value)})
		}
	}
	slices.SortFunc(out, func(a, b Fact) int { return strings.Compare(a.Name, b.Name) })
	return out
}

var twoBlanks = regexp.MustCompile(` {2,}`)

// limits reads /proc/PID/limits.
func limits(text string) []Fact {
	var out []Fact
	for line := range strings.Lines(text) {
		f := twoBlanks.Split(strings.TrimSpace(line), -1)
		if len(f) < 3 || f[0] == "Limit" {
			continue
		}
		value := f[1] + " to " + f[2]
		if f[1] == f[2] {
			value = f[1]
		}
		if len(f) > 3 && f[1] != "unlimited" {
			value += " " + f[3]
		}
		out = append(out, Fact{Name: strings.ToLower(f[0]), Value: value})
	}
	return out
}

// cgroup is the path in the v2 hierarchy.
func cgroup(text string) string {
	for line := range strings.Lines(text) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return holder.ReplaceAllString(p, "")
		}
	}
	return oneLine(text)
}

// holder is saigen's own unit in a session.
var holder = regexp.MustCompile(`/saigen-[^/]+$`)

// units reads systemctl list-units. Units that come and go with containers and commands are not the account's.
func units(text string) []Fact {
	var out []Fact
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[0], "saigen-") || passingUnit.MatchString(f[0]) {
			continue
		}
		value := f[2] + " (" + f[3] + ")"
		if f[1] != "loaded" {
			value = f[1] + ", " + value
		}
		out = append(out, Fact{Name: f[0], Value: value})
	}
	return out
}

var passingUnit = regexp.MustCompile(`^(run-|[0-9a-f]{64}|libpod-|systemd-tmpfiles|grub-)`)

func members(text, own string) []Fact {
	var out []Fact
	groups := strings.Fields(text)
	slices.Sort(groups)
	for _, g := range groups {
		if g != own {
			out = append(out, Fact{Name: g, Value: "member"})
		}
	}
	return out
}

var types = map[string]string{"f": "file", "d": "folder", "s": "socket", "l": "link", "p": "pipe", "c": "device", "b": "device"}

// noise is what podman, crun and systemd keep for each container and unit.
var noise = regexp.MustCompile(`^(systemd/(units|transient|inaccessible|generator[^/]*)|crun/|runc/|gnupg|dbus-1|containers/overlay|containers/vfs|libpod/tmp/(rootlessport|rp|exits|events|persist|socket)|libpod/tmp/rootless-netns/|netns/netns-|containers/networks/(ipam\.db|aardvark\.lock|rootless-netns/)|.*\.lock$|.*\.lck$)`)

// runtimeFacts reads find -printf "%y %P\n" of a runtime folder.
func runtimeFacts(text string) []Fact {
	var all []string
	kind := map[string]string{}
	for line := range strings.Lines(text) {
		y, p, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || noise.MatchString(p) {
			continue
		}
		kind[p] = types[y]
		all = append(all, p)
	}
	slices.Sort(all)
	var out []Fact
	for _, p := range all {
		if dir := path.Dir(p); dir == "." || kind[dir] != "" {
			out = append(out, Fact{Name: p, Value: kind[p]})
		}
	}
	return out
}

var (
	holders = regexp.MustCompile(`\("([^"]+)",pid=(\d+)`)
	atEnd   = regexp.MustCompile(`:(\d+)$`)
)

// ports reads ss -H -tulnp: which ports the account's processes listen on.
func ports(text string, all []process, w Who) []Fact {
	by := map[string]process{}
	for _, p := range all {
		by[p.pid] = p
	}
	facts := map[string]string{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		port := atEnd.FindStringSubmatch(f[4])
		for _, h := range holders.FindAllStringSubmatch(line, -1) {
			p, ok := by[h[2]]
			if !ok || p.uid != w.UID || port == nil {
				continue
			}
			value := h[1]
			if place := p.place(w); place != underManager {
				value += " " + place
			}
			facts[f[0]+" "+port[1]] = value
		}
	}
	var out []Fact
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		out = append(out, Fact{Name: name, Value: facts[name]})
	}
	return out
}

// measured are figures of podman info that are of the moment, or of how much an account has rather than how it is set up.
var measured = regexp.MustCompile(`^(host\.(cpuUtilization|memFree|memTotal|swapFree|swapTotal|uptime|logDriver\.x|idMappings|hostname|kernel)|store\.(graphRootAllocated|graphRootUsed|containerStore|imageStore)|version\.(Built|BuiltTime))`)

// first are the settings that explain most.
var first = []string{"store.graphDriverName", "host.cgroupManager", "host.networkBackend", "host.rootlessNetworkCmd", "host.ociRuntime.name", "store.configFile"}

// podmanFacts reads podman info as JSON.
func podmanFacts(text string) []Fact {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return []Fact{{Name: "podman info", Value: "cannot be read: " + err.Error()}}
	}
	var out []Fact
	flatten("", v, &out)
	out = slices.DeleteFunc(out, func(f Fact) bool { return measured.MatchString(f.Name) })
	rank := func(f Fact) int {
		if i := slices.Index(first, f.Name); i >= 0 {
			return i
		}
		return len(first)
	}
	slices.SortStableFunc(out, func(a, b Fact) int { return rank(a) - rank(b) })
	return out
}

// flatten lists the leaves of a JSON value by their paths, in the order of the names.
func flatten(at string, v any, out *[]Fact) {
	below := func(name string) string { return strings.TrimPrefix(at+"."+name, ".") }
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			flatten(below(k), v[k], out)
		}
	case []any:
		simple := !slices.ContainsFunc(v, func(e any) bool {
			switch e.(type) {
			case map[string]any, []any:
				return true
			}
			return false
		})
		if simple {
			var parts []string
			for _, e := range v {
				parts = append(parts, fmt.Sprint(e))
			}
			*out = append(*out, Fact{Name: at, Value: strings.Join(parts, " ")})
			return
		}
		for i, e := range v {
			flatten(below(strconv.Itoa(i)), e, out)
		}
	case nil:
	case float64:
		*out = append(*out, Fact{Name: at, Value: strconv.FormatFloat(v, 'f', -1, 64)})
	default:
		*out = append(*out, Fact{Name: at, Value: oneLine(fmt.Sprint(v))})
	}
}

var logPrefix = regexp.MustCompile(`^time="[^"]*" level=(\w+) msg="(.*)"$`)

// warnings are the lines that podman writes beside its answer, without their time.
func warnings(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := logPrefix.FindStringSubmatch(line); m != nil {
			line = m[2]
		}
		if line != "" && !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}

func tabbed(text string) [][]string {
	var out [][]string
	for line := range strings.Lines(text) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); f[0] != "" {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return out
}

var since = regexp.MustCompile(`^(Up|Exited \(\d+\)|Created|Paused|Stopping).*`)

// containerState is a container's state without for how long.
func containerState(line []string) string {
	state := ""
	if len(line) > 1 {
		state = since.ReplaceAllString(line[1], "$1")
	}
	if len(line) > 2 {
		state += ", " + line[2]
	}
	return state
}
