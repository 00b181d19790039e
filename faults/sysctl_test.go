package faults

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// parameters answers what sysctl runs, for a machine whose files are these.
type parameters struct {
	files  map[string]string
	world  *labtest.Machine
	broken int // how many writes fail
}

func (p *parameters) run(_ context.Context, cmd lab.Command) (lab.Result, error) {
	switch a := cmd.Argv; a[0] {
	case "cat", "readlink":
		if text, ok := p.files[a[1]]; ok {
			return lab.Result{Stdout: []byte(text + "\n")}, nil
		}
		return lab.Result{Code: 1, Stderr: []byte("No such file or directory\n")}, nil
	case "uname":
		return lab.Result{Stdout: []byte(p.files["release"] + "\n")}, nil
	case "test":
		_, ok := p.world.File(a[2])
		if ok && p.files[a[2]] != "removed" {
			return lab.Result{}, nil
		}
		return lab.Result{Code: 1}, nil
	case "rm":
		p.files[a[2]] = "removed"
		return lab.Result{}, nil
	case "sh":
		if p.broken > 0 {
			p.broken--
			return lab.Result{Code: 2, Stderr: []byte("sh: 1: Cannot fork\n")}, nil
		}
		p.files[a[5]] = strings.ReplaceAll(a[4], " ", "\t")
		return lab.Result{}, nil
	}
	return lab.Result{Code: 127}, nil
}

func sysctlWorld(t *testing.T, files map[string]string) (*labtest.Env, *parameters) {
	t.Helper()
	p := &parameters{files: files}
	env, m := world(t, p.run)
	p.world = m
	return env, p
}

// shared is a machine that has this host's kernel, and namespaces of its own.
func shared(t *testing.T, release string) map[string]string {
	t.Helper()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"/proc/sys/kernel/random/boot_id": strings.TrimSpace(string(boot)),
		"/proc/sys/kernel/pid_max":        "4194304",
		"/proc/sys/kernel/threads-max":    "192730",
		"/proc/1/ns/pid":                  "pid:[1]",
		"release":                         release,
	}
}

func TestSysctl(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		fault Sysctl
		old   string
	}{
		{"own kernel", map[string]string{"/proc/sys/kernel/random/boot_id": "another", "/proc/sys/kernel/threads-max": "7000"},
			Sysctl{Name: "kernel.threads-max", Value: "900"}, "7000"},
		{"several words", map[string]string{"/proc/sys/kernel/random/boot_id": "another", "/proc/sys/net/ipv4/tcp_rmem": "4096\t131072\t6291456"},
			Sysctl{Name: "net.ipv4.tcp_rmem", Value: "4096 8192 16384"}, "4096\t131072\t6291456"},
		{"own pid namespace", shared(t, "6.18.44"), Sysctl{Name: "kernel.pid_max", Value: "1000"}, "4194304"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, p := sysctlWorld(t, c.files)
			f := &c.fault
			f.Machine = "machine.server"
			wantError(t, f.Verify(t.Context(), env), "cannot confirm sysctl: "+f.Name+" is "+words(c.old)+", not "+f.Value)
			for range 2 { // the second one does not take the new value for the old
				if err := f.Inject(t.Context(), env); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Verify(t.Context(), env); err != nil {
				t.Error(err)
			}
			p.broken = 1
			for range 2 {
				if err := f.Heal(t.Context(), env); err != nil {
					t.Fatal(err)
				}
			}
			if got := p.files[f.path()]; got != c.old {
				t.Errorf("healed to %q", got)
			}
		})
	}
}

// What is not the machine's own is not touched.
func TestSysctlOfTheHost(t *testing.T) {
	link, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	hosts := shared(t, "6.18.44")
	hosts["/proc/1/ns/pid"] = link
	for _, c := range []struct {
		files map[string]string
		name  string
		want  string
	}{
		{shared(t, "6.18.44"), "kernel.threads-max", "it is the host's, whose kernel the machine has"},
		{shared(t, "6.18.44"), "kernel.pid_maximum", "it is the host's, whose kernel the machine has"},
		{shared(t, "6.12.9-amd64"), "kernel.pid_max", "before Linux 6.14 it is the host's, and this is 6.12.9-amd64"},
		{hosts, "kernel.pid_max", "the machine is in the host's pid namespace"},
	} {
		env, p := sysctlWorld(t, c.files)
		f := &Sysctl{Machine: "machine.server", Name: c.name, Value: "1000"}
		before := c.files[f.path()]
		wantError(t, f.Inject(t.Context(), env), c.want)
		if p.files[f.path()] != before || ran(p.world, "printf") > 0 {
			t.Errorf("%s was set to %q", c.name, p.files[f.path()])
		}
		if err := f.Heal(t.Context(), env); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestSysctlHostUnchanged(t *testing.T) {
	now, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		t.Fatal(err)
	}
	f := &Sysctl{Machine: "machine.server", Name: "kernel.pid_max"}
	if err := f.hostUnchanged(sysctlEvidence{Shared: true, Host: words(string(now))}); err != nil {
		t.Error(err)
	}
	wantError(t, f.hostUnchanged(sysctlEvidence{Shared: true, Host: "12"}), `and was "12" before the fault`)
	if err := f.hostUnchanged(sysctlEvidence{}); err != nil {
		t.Errorf("another kernel: %v", err)
	}
}
