package faults

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Sysctl sets a kernel parameter of a machine, as sysctl -w does.
//
// Only a parameter that is the machine's own is set: any in a VM; in a machine that shares the host's kernel, those of a
// namespace that it does not share (net.*, kernel.hostname, the shared memory and message queues, and from Linux 6.14 on
// kernel.pid_max). Any other would be the host's, and the injection fails before it has done anything.
//
// In force: the machine's parameter has the value, and the host's is what it was. Healing sets the old value.
type Sysctl struct {
	// The machine whose parameter is set.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The parameter, as sysctl(8) takes it: "kernel.pid_max".
	Name string `hcl:"name" json:"name"`
	// Its value. The words of one that has several have one space between them: "4096 87380 6291456".
	Value string `hcl:"value" json:"value"`
}

var sysctlForm = regexp.MustCompile(`^[a-z0-9_]+([./][A-Za-z0-9_-]+)+$`)

// Check implements lab.Checker.
func (f *Sysctl) Check() []lab.Problem {
	var out []lab.Problem
	if !sysctlForm.MatchString(f.Name) {
		out = append(out, lab.Problem{Attr: "name", Summary: "no kernel parameter",
			Detail: fmt.Sprintf("%q is not how a kernel parameter is written. Write its name as sysctl -a shows it, such as \"kernel.pid_max\".", f.Name)})
	}
	if f.Value == "" || f.Value != words(f.Value) {
		out = append(out, lab.Problem{Attr: "value", Summary: "no value",
			Detail: "Write the value in one line, with one space between words, as in \"4096 87380 6291456\"."})
	}
	return out
}

// words is a text with one space between its words: the kernel writes tabs between numbers.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// path is the parameter's file below /proc.
func (f *Sysctl) path() string { return "/proc/sys/" + f.key() }

func (f *Sysctl) key() string { return strings.ReplaceAll(f.Name, ".", "/") }

func (f *Sysctl) evidence() string { return "sysctl-" + strings.ReplaceAll(f.key(), "/", ".") }

// sysctlEvidence is what Inject leaves in the machine.
type sysctlEvidence struct {
	Old    string `json:"old"`
	Shared bool   `json:"shared"`         // the machine has the host's kernel
	Host   string `json:"host,omitempty"` // the host's value before, where it has one and the kernel is shared
}

// Inject implements lab.Breaker.
func (f *Sysctl) Inject(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	var e sysctlEvidence
	if e.Shared, err = f.own(ctx, m); err != nil {
		return err
	}
	if e.Old, err = f.read(ctx, m); err != nil {
		return err
	}
	if e.Host, err = f.host(e.Shared); err != nil {
		return err
	}
	before, found, err := f.remembered(ctx, m)
	if err != nil {
		return err
	}
	if found { // half an Inject: what it found is the old value
		e = before
	} else if err := keep(ctx, m, f.evidence(), e); err != nil {
		return err
	}
	env.Say("%s is set to %s; it was %s", f.Name, f.Value, e.Old)
	if err := f.write(ctx, m, f.Value); err != nil {
		return err
	}
	if err := f.hostUnchanged(e); err != nil { // it was the host's after all
		return errors.Join(err, f.write(ctx, m, e.Old))
	}
	return nil
}

// Verify implements lab.Breaker.
func (f *Sysctl) Verify(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	now, err := f.read(ctx, m)
	if err != nil {
		return err
	}
	if now != f.Value {
		return fmt.Errorf("cannot confirm sysctl: %s is %s, not %s", f.Name, now, f.Value)
	}
	e, found, err := f.remembered(ctx, m)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("cannot confirm sysctl: %s is %s, which was not this fault's work", f.Name, now)
	}
	return f.hostUnchanged(e)
}

// healPatience is how long healing tries: a machine that has run out of processes has one now and then.
const healPatience = 20 * time.Second

// Heal implements lab.Breaker.
func (f *Sysctl) Heal(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	return insist(ctx, healPatience, f.Name+" must have its old value", func() error {
		e, found, err := f.remembered(ctx, m)
		if err != nil || !found {
			return err
		}
		if err := f.write(ctx, m, e.Old); err != nil {
			return err
		}
		now, err := f.read(ctx, m)
		if err == nil && now != e.Old {
			err = fmt.Errorf("%s is %s, not %s", f.Name, now, e.Old)
		}
		if err != nil {
			return err
		}
		_, err = do(ctx, m, "", "rm", "-f", evidencePath(f.evidence()))
		return err
	})
}

// insist repeats what may fail for a moment until it succeeds.
func insist(ctx context.Context, limit time.Duration, what string, f func() error) error {
	var failed error
	err := await(ctx, limit, what, func() (bool, error) {
		failed = f()
		return failed == nil, nil
	})
	return errors.Join(err, failed)
}

func (f *Sysctl) read(ctx context.Context, m lab.Running) (string, error) {
	value, err := output(ctx, m, "cat", f.path())
	if err != nil {
		return "", fmt.Errorf("cannot read %s of %s: %w", f.Name, f.Machine, err)
	}
	return words(value), nil
}

func (f *Sysctl) write(ctx context.Context, m lab.Running, value string) error {
	// The kernel takes a parameter in one write(2), which is what printf makes of a line.
	if _, err := do(ctx, m, "", "sh", "-c", `printf '%s\n' "$1" >"$2"`, "sh", value, f.path()); err != nil {
		return fmt.Errorf("cannot set %s of %s to %q: %w", f.Name, f.Machine, value, err)
	}
	return nil
}

// remembered is what an Inject has left; false: nothing.
func (f *Sysctl) remembered(ctx context.Context, m lab.Running) (e sysctlEvidence, found bool, err error) {
	r, err := try(ctx, m, "", "test", "-e", evidencePath(f.evidence()))
	if err != nil || r.Code != 0 {
		return e, false, err
	}
	return e, true, kept(ctx, m, f.evidence(), &e)
}

// host is the host's own value; empty when the kernel is another one, or has no such parameter here.
func (f *Sysctl) host(shared bool) (string, error) {
	if !shared {
		return "", nil
	}
	data, err := os.ReadFile(f.path())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", nil
	}
	return words(string(data)), err
}

// hostUnchanged fails when the host's value is not what it was.
func (f *Sysctl) hostUnchanged(e sysctlEvidence) error {
	now, err := f.host(e.Shared)
	if err == nil && now != e.Host {
		err = fmt.Errorf("the host's %s is %q, and was %q before the fault", f.Name, now, e.Host)
	}
	if err != nil {
		return &lab.InfraError{What: "cannot set " + f.Name + " of " + string(f.Machine), Hint: "look at the host's value: sysctl " + f.Name, Err: err}
	}
	return nil
}

// ownSysctls are the parameters that belong to a namespace, and to which; see namespaces(7), sysctl.c of the kernel's
// directories ipc, kernel and net, and for kernel.pid_max commit 7863dcc72d0f (Linux 6.14).
var ownSysctls = []struct{ names, namespace string }{
	{`^net/`, "net"},
	{`^kernel/(hostname|domainname)$`, "uts"},
	{`^kernel/(msg[a-z_]+|sem|sem_next_id|shm[a-z_]+)$`, "ipc"},
	{`^fs/mqueue/`, "ipc"},
	{`^kernel/pid_max$`, "pid"},
}

// own fails unless the parameter belongs to the machine alone, and says whether the machine has the host's kernel.
func (f *Sysctl) own(ctx context.Context, m lab.Running) (shared bool, err error) {
	const boot = "/proc/sys/kernel/random/boot_id" // one for each boot of a kernel: see random(4)
	ours, err := os.ReadFile(boot)
	if err != nil {
		return true, fmt.Errorf("cannot tell whose kernel %s has: %w", f.Machine, err)
	}
	theirs, err := output(ctx, m, "cat", boot)
	if err != nil {
		return true, err
	}
	if theirs != strings.TrimSpace(string(ours)) {
		return false, nil
	}
	refuse := func(why string) error {
		return &lab.InfraError{
			What: fmt.Sprintf("cannot set %s of %s: %s", f.Name, f.Machine, why),
			Hint: "a machine of driver qemu has a kernel of its own: run the lab with --driver qemu, or declare needs = [\"own_kernel\"]",
		}
	}
	namespace := ""
	for _, s := range ownSysctls {
		if regexp.MustCompile(s.names).MatchString(f.key()) {
			namespace = s.namespace
		}
	}
	if namespace == "" {
		return true, refuse("it is the host's, whose kernel the machine has")
	}
	here, err := os.Readlink(filepath.Join("/proc/self/ns", namespace))
	if err != nil {
		return true, err
	}
	there, err := output(ctx, m, "readlink", "/proc/1/ns/"+namespace)
	if err != nil {
		return true, err
	}
	if here == there {
		return true, refuse("the machine is in the host's " + namespace + " namespace")
	}
	if f.key() == "kernel/pid_max" {
		release, err := output(ctx, m, "uname", "-r")
		if err != nil {
			return true, err
		}
		if !atLeast614(release) {
			return true, refuse("before Linux 6.14 it is the host's, and this is " + release)
		}
	}
	return true, nil
}

// atLeast614 says whether a kernel's release is 6.14 or later.
func atLeast614(release string) bool {
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n != 2 {
		return false
	}
	return major > 6 || major == 6 && minor >= 14
}
