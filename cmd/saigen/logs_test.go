package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

// What is asked of the journal, for a run whose lab is frozen in its folder.
func TestJournal(t *testing.T) {
	home := t.TempDir()
	env := func(name string) string {
		return map[string]string{"HOME": home, "XDG_STATE_HOME": home, "XDG_CACHE_HOME": home}[name]
	}
	uid := func(ctx context.Context, _, machine string) (lab.Running, error) {
		d := &labtest.Driver{Handler: func(_ context.Context, c lab.Command) (lab.Result, error) {
			if slices.Equal(c.Argv, []string{"id", "-u", "alice"}) {
				return lab.Result{Stdout: []byte("1001\n")}, nil
			}
			return lab.Result{Code: 1}, nil
		}}
		l := &lab.Lab{}
		return labtestMachine(ctx, d, l, machine)
	}
	w := &world{env: env, drivers: []driverEntry{{name: "fake", connect: uid}}, kinds: testKinds()}
	folder := filepath.Join(home, "saigen", "runs", "r")
	write := func(name string, v any) {
		data, err := json.Marshal(v)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(runInfoFile, runInfo{ID: "r", Driver: "fake", Machines: []string{"first", "server"}})
	symptom := lab.Assertion{Role: "symptom", Kind: "fake", Name: "s", Machine: "machine.server", Every: "1s", Within: "1s", Settings: []byte(`{"value":"v"}`)}
	write(filepath.Join("1", runner.LabFile), lab.Lab{Name: "l", Expect: lab.Reproduced, Symptoms: []lab.Assertion{symptom}, Stacks: []lab.Stack{
		{Name: "shop", Machine: "machine.server", Account: "alice", Services: []lab.Service{{Name: "app", Container: "shop_app_1"}, {Name: "proxy", Container: "proxy"}}},
	}})
	for _, c := range []struct {
		in      inside
		f       logFlags
		machine string
		want    string // the matches; or the error
	}{
		{inside{}, logFlags{}, "", ""},
		{inside{}, logFlags{container: "proxy"}, "", "CONTAINER_NAME=proxy"},
		{inside{account: "alice"}, logFlags{container: "proxy"}, "", "CONTAINER_NAME=proxy _UID=1001"},
		{inside{account: "eve"}, logFlags{}, "", `there is no account "eve" on the machine`},
		{inside{}, logFlags{stack: "shop"}, "server", "CONTAINER_NAME=shop_app_1 CONTAINER_NAME=proxy _UID=1001"},
		{inside{}, logFlags{stack: "shop", services: []string{"app"}}, "server", "CONTAINER_NAME=shop_app_1 _UID=1001"},
		{inside{}, logFlags{stack: "shop", services: []string{"db"}}, "", `stack "shop" has no service "db": it has app, proxy`},
		{inside{}, logFlags{stack: "bar"}, "", `there is no stack "bar" in this lab: it has shop`},
		{inside{machine: "first"}, logFlags{stack: "shop"}, "", `stack "shop" is on machine "server", not on "first"`},
		{inside{}, logFlags{services: []string{"app"}}, "", "--service goes with --stack: two stacks may have services of the same name"},
	} {
		c.in.run = "r"
		match, err := w.journal(t.Context(), &c.in, c.f)
		got := strings.Join(match, " ")
		if err != nil {
			got = err.Error()
		} else if c.machine != "" && c.in.machine != c.machine {
			t.Errorf("%+v: machine %q", c.f, c.in.machine)
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.f, got, c.want)
		}
	}
}

func labtestMachine(ctx context.Context, d *labtest.Driver, l *lab.Lab, name string) (lab.Running, error) {
	if err := d.Prepare(ctx, l, func(string, ...any) {}); err != nil {
		return nil, err
	}
	return d.Start(ctx, "r", l, lab.Machine{Name: name})
}
