package diff

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// File is a file of the lab as it was when the run began.
type File struct {
	Size int64  `json:"size"`
	Hash string `json:"sha256"`
}

// Surroundings is what commands of each account see, by machine and account: environment and limits.
type Surroundings map[string]map[string]map[string]string

// Run is a stored trial with all that belongs to it.
type Run struct {
	Driver   string
	Saigen   string                       // its version
	Kernel   string                       // of the host
	Host     map[string]string            // system, cpus, memory
	Packages map[string]map[string]string // of each image: name to version
	Files    map[string]File              // of the lab's folder, by path
	Trial    *runner.Trial
	Accounts Surroundings
}

// topics of a run, the most telling first.
const (
	topicVerdict  = "verdict"
	topicVariant  = "variant"
	topicVersions = "versions"
	topicPackages = "packages"
	topicLab      = "lab"
	topicFiles    = "files"
	topicAccounts = "accounts"
	topicSeen     = "observations"
	topicHost     = "host"
)

// Runs lists what differs between two stored trials, the most telling first.
func Runs(a, b Run) []Difference {
	out := Compare(a.verdict(b), b.verdict(a), nil, nil)
	out = append(out, Compare(a.made(), b.made(), nil, nil)...)
	out = append(out, observations(a.Trial, b.Trial)...)
	return append(out, Compare(a.host(), b.host(), nil, nil)...)
}

// verdict leaves out remedies where the other run came to none: its verdict says why.
func (r Run) verdict(other Run) []Fact {
	o := r.Trial.Outcome
	out := []Fact{{topicVerdict, "verdict", string(o.Verdict)}}
	for _, s := range o.Symptoms {
		value := "never appeared"
		if s.Appeared {
			value = "appeared"
		}
		if s.InControl {
			value += ", and without the fault too"
		}
		out = append(out, Fact{topicVerdict, s.Address, value})
	}
	for _, i := range o.Invariants {
		value := "held"
		if !i.Held {
			value = "broke in the " + i.BrokeIn
		}
		out = append(out, Fact{topicVerdict, i.Address, value})
	}
	for _, m := range o.Remedies {
		if len(other.Trial.Outcome.Remedies) == 0 {
			break
		}
		value := "did not cure"
		if m.Cured {
			value = "cured"
		}
		out = append(out, Fact{topicVerdict, "remedy." + m.Name, value})
	}
	return out
}

// important are the packages that an incident of containers is most likely about.
var important = []string{
	"podman", "podman-compose", "netavark", "aardvark-dns", "crun", "runc", "conmon", "slirp4netns", "passt", "containernetworking-plugins",
	"systemd", "dbus", "dbus-user-session", "libc6", "linux-image-cloud-amd64",
}

func (r Run) made() []Fact {
	var out []Fact
	for _, c := range r.Trial.Lab.Variant {
		out = append(out, Fact{topicVariant, c.Axis, c.Value})
	}
	out = append(out, Fact{topicVersions, "driver", r.Driver}, Fact{topicVersions, "saigen", r.Saigen}, Fact{topicVersions, "kernel of the host", r.Kernel})
	out = append(out, r.packages()...)
	out = append(out, settings(r.Trial.Lab)...)
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		f := r.Files[name]
		out = append(out, Fact{topicFiles, name, fmt.Sprintf("%.12s, %d bytes", f.Hash, f.Size)})
	}
	for _, machine := range slices.Sorted(maps.Keys(r.Accounts)) {
		for _, account := range slices.Sorted(maps.Keys(r.Accounts[machine])) {
			seen := r.Accounts[machine][account]
			for _, name := range slices.Sorted(maps.Keys(seen)) {
				out = append(out, Fact{topicAccounts, account + " on " + machine + ": " + name, seen[name]})
			}
		}
	}
	return out
}

func (r Run) packages() []Fact {
	var out []Fact
	for _, image := range slices.Sorted(maps.Keys(r.Packages)) {
		packages := r.Packages[image]
		for _, p := range slices.Sorted(maps.Keys(packages)) {
			out = append(out, Fact{topicPackages, "image." + image + " " + p, packages[p]})
		}
	}
	rank := func(f Fact) int {
		_, p, _ := strings.Cut(f.Name, " ")
		if i := slices.Index(important, p); i >= 0 {
			return i
		}
		return len(important)
	}
	slices.SortStableFunc(out, func(a, b Fact) int { return cmp.Compare(rank(a), rank(b)) })
	return out
}

// settings are the leaves of the frozen lab; what has a name goes by it, not by its place.
func settings(l *lab.Lab) []Fact {
	data, err := json.Marshal(l)
	var v map[string]any
	if err != nil || json.Unmarshal(data, &v) != nil {
		return nil
	}
	delete(v, "variant")
	var out []Fact
	flatten("", named(v), &out)
	for i := range out {
		out[i].Topic = topicLab
	}
	return out
}

// named makes objects of lists whose elements have names.
func named(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = named(v[k])
		}
	case []any:
		byName := map[string]any{}
		for _, e := range v {
			o, ok := e.(map[string]any)
			name, _ := o["name"].(string)
			if !ok || name == "" {
				return v
			}
			if kind, ok := o["kind"].(string); ok {
				name = kind + "." + name
			}
			delete(o, "name")
			delete(o, "kind")
			byName[name] = named(o)
		}
		if len(byName) == len(v) {
			return byName
		}
	}
	return v
}

func (r Run) host() []Fact {
	var out []Fact
	for _, name := range slices.Sorted(maps.Keys(r.Host)) {
		out = append(out, Fact{topicHost, name, r.Host[name]})
	}
	return out
}

// figure is what one value of one assertion was in one phase.
type figure struct {
	n              int
	low, mid, high float64
}

func (f figure) String() string {
	looks := fmt.Sprintf("%d looks", f.n)
	if f.n == 1 {
		looks = "1 look"
	}
	if f.low == f.high {
		return short(f.mid) + ", " + looks
	}
	return fmt.Sprintf("median %s (%s to %s), %s", short(f.mid), short(f.low), short(f.high), looks)
}

// short is a number to the thousandth.
func short(v float64) string { return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64) }

// alike says whether two figures can be the same thing measured twice: each one's median is among the other's values,
// and times may besides differ by a tenth of a second, or by half.
func (f figure) alike(g figure, time bool) bool {
	within := func(x, y figure) bool { return x.low <= y.mid && y.mid <= x.high }
	if within(f, g) && within(g, f) {
		return true
	}
	if !time {
		return false
	}
	less, more := min(f.mid, g.mid), max(f.mid, g.mid)
	return more-less < 0.1 || more < 1.5*less
}

// observations lists the values that were not the same: what is noise between two runs is left out.
func observations(a, b *runner.Trial) []Difference {
	x, order := figures(a)
	y, more := figures(b)
	for _, name := range more {
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	var out []Difference
	for _, name := range order {
		f, g := x[name], y[name]
		if f.n == 0 || g.n == 0 || f.alike(g, strings.HasSuffix(name, "seconds")) {
			continue // what only one run came to is told by its verdict
		}
		p, q := f.String(), g.String()
		out = append(out, Difference{Topic: topicSeen, Name: name, A: &p, B: &q})
	}
	return out
}

// figures are the values of each assertion in each phase that is compared, and their names in the order of the arms. A
// look belongs to the phase in which it began.
func figures(t *runner.Trial) (map[string]figure, []string) {
	all := map[string][]float64{}
	var order []string
	for _, arm := range t.Outcome.Arms {
		for _, p := range arm.Phases {
			if p.Kind == runner.Inject || p.Kind == runner.Treat { // what comes and goes there is no news
				continue
			}
			for _, s := range slices.Concat(t.Lab.Symptoms, t.Lab.Invariants) {
				for _, o := range t.Record.Observations[arm.Name][s.Address()] {
					if o.Err != "" || o.At.Before(p.Start) || !p.End.IsZero() && !o.At.Before(p.End) {
						continue
					}
					for _, value := range slices.Sorted(maps.Keys(o.Values)) {
						name := arm.Name + " arm, " + p.Name() + ": " + s.Address() + " " + value
						if all[name] == nil {
							order = append(order, name)
						}
						all[name] = append(all[name], o.Values[value])
					}
				}
			}
		}
	}
	out := map[string]figure{}
	for name, v := range all {
		slices.Sort(v)
		out[name] = figure{n: len(v), low: v[0], mid: v[(len(v)-1)/2], high: v[len(v)-1]}
	}
	return out, order
}
