package assertions

import (
	"encoding/json"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

func TestKindsDecodeEmpty(t *testing.T) {
	for _, k := range Kinds() {
		o := k.New()
		if err := json.Unmarshal([]byte("{}"), o); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		if !reflect.DeepEqual(o, k.New()) {
			t.Errorf("%s: decoding {} changed the defaults: %+v", k.Name, o)
		}
		c, ok := o.(lab.Checker)
		if !ok {
			t.Errorf("%s has no Check", k.Name)
			continue
		}
		if len(c.Check()) == 0 {
			t.Errorf("%s: Check accepts a block without settings", k.Name)
		}
	}
}

// Settings travel as JSON: a value that differs from its default must arrive, a false or a 0 too.
func TestKindsTravel(t *testing.T) {
	for _, k := range Kinds() {
		o := k.New()
		v := reflect.ValueOf(o).Elem()
		for i := range v.NumField() {
			switch f := v.Field(i); {
			case f.Kind() == reflect.Bool && f.CanSet():
				f.SetBool(!f.Bool())
			case f.Type() == reflect.TypeFor[*int]():
				f.Set(reflect.ValueOf(new(int)))
			}
		}
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		got := k.New()
		if err := json.Unmarshal(data, got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(o, got) {
			t.Errorf("%s: sent %+v, arrived %+v", k.Name, o, got)
		}
	}
}

// The two tags of a setting name it alike, and every setting is explained.
func TestKindsTags(t *testing.T) {
	for _, k := range Kinds() {
		v := reflect.TypeOf(k.New()).Elem()
		for i := range v.NumField() {
			f := v.Field(i)
			if !f.IsExported() {
				continue
			}
			h, _, _ := strings.Cut(f.Tag.Get("hcl"), ",")
			j, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if h == "" || h != j {
				t.Errorf("%s.%s: hcl %q, json %q", k.Name, f.Name, h, j)
			}
		}
	}
}

// What a kind calls a limit is one of its settings, and the kinds that are judged by a lab.Limit say so.
func TestKindsLimits(t *testing.T) {
	for _, k := range Kinds() {
		limits := k.New().(lab.Limiter).Limits()
		settings := map[string]reflect.Type{}
		var list func(prefix string, v reflect.Type)
		list = func(prefix string, v reflect.Type) {
			for i := range v.NumField() {
				f := v.Field(i)
				if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
					settings[prefix+name] = f.Type
					if f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct {
						list(prefix+name+".", f.Type.Elem())
					}
				}
			}
		}
		list("", reflect.TypeOf(k.New()).Elem())
		for _, name := range limits {
			if settings[name] == nil {
				t.Errorf("%s has no setting %q", k.Name, name)
			}
		}
		for name, is := range settings {
			if is == reflect.TypeFor[lab.Limit]() && !slices.Contains(limits, name) {
				t.Errorf("%s: %s is a limit, and Limits does not name it", k.Name, name)
			}
		}
	}
}

// A look that may take long by its settings must not be cut short by a limit for all looks.
func TestPatience(t *testing.T) {
	for _, c := range []struct {
		kind lab.Patient
		want time.Duration
	}{
		{&HTTP{Timeout: "40s"}, 41 * time.Second},
		{&HTTPLatency{Timeout: "60s"}, 61 * time.Second},
		{&HTTPLatency{Timeout: "60s", PerLine: &PerLine{}}, 61*time.Second + linesPatience},
		{&Command{Timeout: "2m"}, 121 * time.Second},
		{&DNSAnswers{}, dnsPatience + 2*dnsTry},
	} {
		if got := c.kind.Longest(); got != c.want {
			t.Errorf("%T: %s, want %s", c.kind, got, c.want)
		}
	}
}

func TestSources(t *testing.T) {
	files, err := fs.Glob(Sources(), "*.go")
	if err != nil || len(files) < len(Kinds()) {
		t.Fatalf("%d sources, %v", len(files), err)
	}
	field := regexp.MustCompile("^\t[A-Z]\\w* .*`hcl:")
	for _, name := range files {
		data, err := fs.ReadFile(Sources(), name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(data), "\n")
		for i, l := range lines {
			if field.MatchString(l) && !strings.HasPrefix(lines[i-1], "\t// ") {
				t.Errorf("%s:%d: a setting without a comment: %s", name, i+1, strings.TrimSpace(l))
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		kind lab.Checker
		want string // "attr: summary" of each problem
	}{
		{"dns nothing", &DNSAnswers{}, ": nothing is asserted"},
		{"dns negative", &DNSAnswers{Over: p(-1), Twice: true}, "over: negative number"},
		{"dns server", &DNSAnswers{Over: p(2), Server: "dns.example"}, "server: not the address of a server"},
		{"dns good", &DNSAnswers{Over: p(2), Server: "10.89.0.1:53"}, ""},
		{"http nothing", &HTTP{Timeout: "1s", Stack: "stack.a"}, ": nothing is asserted"},
		{"http always", &HTTP{Timeout: "1s", Stack: "stack.a", Time: "at least 0s"}, "time: every time is in the limit"},
		{"http status", &HTTP{Timeout: "1s", Stack: "stack.a", Status: p(20)}, "status: no such status"},
		{"http two places", &HTTP{Timeout: "1s", Stack: "stack.a", Machine: "machine.m", Status: p(0)}, ": one place is needed"},
		{"http no time", &HTTP{Timeout: "0s", Stack: "stack.a", Status: p(200)}, "timeout: no time to look"},
		{"latency nothing", &HTTPLatency{Timeout: "1s", MinSamples: 1}, ": nothing is asserted"},
		{"latency samples", &HTTPLatency{Timeout: "1s", P50: "over 1s"}, "min_samples: no samples"},
		{"latency open", &HTTPLatency{Timeout: "1s", MinSamples: 1, PerLine: &PerLine{Time: "over 1s"}}, "per_line.time: both ends are needed"},
		{"latency good", &HTTPLatency{Timeout: "1s", MinSamples: 1, PerLine: &PerLine{Time: "2.9s to 3.5s", Done: "x"}}, ""},
		{"log empty", &Log{Count: "at least 1"}, "match: nothing to look for"},
		{"log always", &Log{Match: "x", Count: "at least 0"}, "count: every number is in the limit"},
		{"log never", &Log{Match: "x", Count: "exactly 0"}, ""},
		{"command", &Command{Timeout: "1s", Machine: "machine.m", Run: "true", Argv: []string{"true"}, Exit: p(0)}, ": one command is needed"},
		{"command nothing", &Command{Timeout: "1s", Machine: "machine.m", Run: "true"}, ": nothing is asserted"},
		{"command always", &Command{Timeout: "1s", Machine: "machine.m", Run: "true", ExitCode: "at least 0"}, "exit_code: every exit code is in the limit"},
		{"command twice", &Command{Timeout: "1s", Machine: "machine.m", Run: "true", ExitCode: "over 0", Exit: p(1)}, "exit_code: two settings for the exit code"},
		{"command time", &Command{Timeout: "1s", Machine: "machine.m", Run: "true", Time: "over 3"}, "time: a time without a unit"},
		{"command good", &Command{Timeout: "1s", Stack: "stack.a", Run: "true", ExitCode: "over 0", Stderr: "x", Time: "over 3s"}, ""},
		{"file nothing", &File{Machine: "machine.m", Path: "/etc/hosts"}, ": nothing is asserted"},
		{"file nowhere", &File{Machine: "machine.m", Exists: p(true)}, "path: no file is named"},
		{"file relative", &File{Machine: "machine.m", Path: "out/app.js", Exists: p(true)}, "path: a path without a beginning"},
		{"file home", &File{Machine: "machine.m", Account: "alice", Path: "~/app.js", Exists: p(false)}, "path: no shell reads the path"},
		{"file absent", &File{Machine: "machine.m", Path: "/x", Exists: p(false), Count: "exactly 0"}, "exists: an absent file has no contents"},
		{"file always", &File{Stack: "stack.a", Path: "x", Size: "at least 0B", Count: "over -1"}, "size: every size is in the limit; count: every number is in the limit"},
		{"file mode", &File{Stack: "stack.a", Path: "x", Mode: "rw-r--r--"}, "mode: no permissions"},
		{"file good", &File{Machine: "machine.m", Account: "alice", Path: "out/app.js", Mode: "0644", Match: "x"}, ""},
		{"process any", &Process{Machine: "machine.m", Count: "at least 1"}, ": nothing is asserted"},
		{"process long", &Process{Machine: "machine.m", Name: "systemd-socket-activate", Count: "at least 1"}, "name: longer than any process name"},
		{"process parent", &Process{Machine: "machine.m", Parent: "systemd-socket-activate", Count: "at least 1"}, "parent: longer than any process name"},
		{"process service", &Process{Machine: "machine.m", Service: "app", Count: "at least 1"}, ": nothing is asserted; service: a service of no stack"},
		{"process state", &Process{Machine: "machine.m", State: "ZQ", Count: "at least 1"}, "state: no such process state"},
		{"container two", &Container{State: "running", Service: "a", Name: "b"}, ": one container is needed"},
		{"container state", &Container{State: "healthy", Service: "a"}, "state: no such state"},
	} {
		var got []string
		for _, pr := range c.kind.Check() {
			got = append(got, pr.Attr+": "+pr.Summary)
			if !strings.HasSuffix(pr.Detail, ".") {
				t.Errorf("%s: detail is no full sentence: %q", c.name, pr.Detail)
			}
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
}

func p[T any](v T) *T { return &v }
