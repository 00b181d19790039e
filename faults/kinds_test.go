package faults

import (
	"encoding/json"
	"io/fs"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

func TestKindsDecodeEmpty(t *testing.T) {
	for _, k := range Kinds() {
		f := k.New()
		if err := json.Unmarshal([]byte("{}"), f); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		if !reflect.DeepEqual(f, k.New()) {
			t.Errorf("%s: decoding {} changed the defaults: %+v", k.Name, f)
		}
		if _, ok := f.(lab.Checker); !ok {
			t.Errorf("%s has no Check", k.Name)
		}
	}
}

// A frozen lab carries the settings as JSON: a false or a 0 must arrive too.
func TestKindsTravel(t *testing.T) {
	for _, k := range Kinds() {
		f := k.New()
		v := reflect.ValueOf(f).Elem()
		for i := range v.NumField() {
			field := v.Type().Field(i)
			h, _, _ := strings.Cut(field.Tag.Get("hcl"), ",")
			j, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if h == "" || h != j {
				t.Errorf("%s.%s: hcl %q, json %q", k.Name, field.Name, h, j)
			}
			switch x := v.Field(i); {
			case x.Kind() == reflect.Bool:
				x.SetBool(!x.Bool())
			case x.Type() == reflect.TypeFor[*int]():
				x.Set(reflect.ValueOf(new(int)))
			}
		}
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		got := k.New()
		if err := json.Unmarshal(data, got); err != nil || !reflect.DeepEqual(f, got) {
			t.Errorf("%s: sent %+v, arrived %+v, %v", k.Name, f, got, err)
		}
	}
}

func TestSources(t *testing.T) {
	files, err := fs.Glob(Sources(), "*.go")
	if err != nil || len(files) < len(Kinds()) {
		t.Fatalf("%d sources, %v", len(files), err)
	}
	field := regexp.MustCompile("^\t[A-Z]\\w* .*`hcl:")
	settings := 0
	for _, name := range files {
		data, err := fs.ReadFile(Sources(), name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(data), "\n")
		for i, l := range lines {
			if !field.MatchString(l) {
				continue
			}
			settings++
			if !strings.HasPrefix(lines[i-1], "\t// ") {
				t.Errorf("%s:%d: a setting without a comment: %s", name, i+1, strings.TrimSpace(l))
			}
		}
	}
	if settings < 10 {
		t.Errorf("only %d settings were found: does this test still see them?", settings)
	}
}

func TestCheck(t *testing.T) {
	port := func(n int) *int { return &n }
	for _, c := range []struct {
		name string
		kind lab.Checker
		want string
	}{
		{"churn good", &ContainerChurn{DiesOf: DiesOfPortTaken, Rounds: 3}, ""},
		{"churn of nothing", &ContainerChurn{Rounds: 3}, "dies_of: no such death"},
		{"churn no rounds", &ContainerChurn{DiesOf: DiesOfPortTaken}, "rounds: no rounds"},
		{"churn port", &ContainerChurn{DiesOf: DiesOfPortTaken, Rounds: 1, Port: port(70000)}, "port: no such port"},
		{"churn port unused", &ContainerChurn{DiesOf: DiesOfPodmanKilled, Rounds: 1, Port: port(3000), At: "1s"}, "port: setting without effect"},
		{"churn that lives", &ContainerChurn{DiesOf: DiesOfNothing, Rounds: 1}, ""},
		{"churn that lives with a port", &ContainerChurn{DiesOf: DiesOfNothing, Rounds: 1, Port: port(3000)}, "port: setting without effect"},
		{"churn at once", &ContainerChurn{DiesOf: DiesOfPodmanKilled, Rounds: 1, At: "0s"}, "at: killed before it starts"},
		{"port good", &PortTaken{Port: 53, Protocol: UDP}, ""},
		{"port of an account", &PortTaken{Port: 3000, Protocol: TCP, Account: "bob"}, ""},
		{"port of nothing", &PortTaken{Protocol: "sctp"}, "port: no such port; protocol: no such protocol"},
		{"port of root", &PortTaken{Port: 80, Protocol: TCP, Account: "bob"}, "account: port of root"},
		{"session good", &SessionKill{Rounds: 1}, ""},
		{"session no rounds", &SessionKill{Rounds: -1}, "rounds: no rounds"},
		{"command good", &Command{Break: "a.sh", Confirm: "b.sh", Undo: "c.sh"}, ""},
		{"limits good", &Limits{Account: "alice", Resource: "nproc", Value: 100}, ""},
		{"limits of nobody", &Limits{Resource: "nproc"}, ": one owner is needed"},
		{"limits of two", &Limits{Account: "alice", Unit: "a.service", Resource: "nproc"}, ": one owner is needed"},
		{"limits unit", &Limits{Unit: "nginx", Resource: "nofile", Value: -1}, "unit: unit without its kind; value: a limit below zero"},
		{"limits resource", &Limits{Account: "alice", Resource: "pids"}, "resource: no such limit"},
		{"sysctl good", &Sysctl{Name: "kernel.pid_max", Value: "1000"}, ""},
		{"sysctl of an interface", &Sysctl{Name: "net/ipv4/conf/eth0/forwarding", Value: "1"}, ""},
		{"sysctl path", &Sysctl{Name: "../kernel/pid_max", Value: "1000"}, "name: no kernel parameter"},
		{"sysctl value", &Sysctl{Name: "kernel.sem", Value: "1\t2"}, "value: no value"},
		{"command undone by itself", &Command{Break: "a.sh", Confirm: "b.sh", Undo: "a.sh"}, "heal: the same script as inject"},
	} {
		var got []string
		for _, p := range c.kind.Check() {
			got = append(got, p.Attr+": "+p.Summary)
			if !strings.HasSuffix(p.Detail, ".") {
				t.Errorf("%s: detail is no full sentence: %q", c.name, p.Detail)
			}
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
}
