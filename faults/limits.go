package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Limits lowers a resource limit (ulimit, setrlimit(2)) of all processes that run as an account or in a systemd unit. What they start
// inherits it. It is the soft limit, up to which a process may raise its own again: the hard one, once lowered, could not be given
// back by everybody.
//
// The limit of processes (nproc) counts those of the whole account, its containers' and its zombies included, and stops only
// who belongs to that account. Root has none: it may start as many as the kernel has numbers for.
//
// In force: every such process that runs has the limit, or a lower one. Healing gives each its own back, and to those
// that were started meanwhile the one that the others had.
type Limits struct {
	// The machine.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The account whose processes are limited, those in its containers included. Either this or unit.
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"`
	// The systemd unit whose processes are limited, of the system or of a user, with everything below it: "nginx.service".
	Unit string `hcl:"unit,optional" json:"unit,omitempty"`
	// What is limited: "nproc" (processes of the account), "nofile" (open files), "as" (address space, in bytes), "data", "fsize",
	// "stack" or "memlock" (bytes), "sigpending", "msgqueue".
	Resource string `hcl:"resource" json:"resource"`
	// The limit: a number, of bytes where bytes are limited.
	Value int `hcl:"value" json:"value"`
}

// limitResources are prlimit(1)'s names.
var limitResources = []string{"nproc", "nofile", "as", "data", "fsize", "stack", "memlock", "sigpending", "msgqueue"}

// Check implements lab.Checker.
func (f *Limits) Check() []lab.Problem {
	var out []lab.Problem
	if (f.Account == "") == (f.Unit == "") {
		out = append(out, lab.Problem{Summary: "one owner is needed",
			Detail: "Say whose processes are limited: those of an account, or those of a unit."})
	}
	if f.Unit != "" && !strings.Contains(f.Unit, ".") {
		out = append(out, lab.Problem{Attr: "unit", Summary: "unit without its kind",
			Detail: fmt.Sprintf("%q could be a service, a scope or a slice. Write the whole name, such as \"%s.service\".", f.Unit, f.Unit)})
	}
	if !slices.Contains(limitResources, f.Resource) {
		out = append(out, lab.Problem{Attr: "resource", Summary: "no such limit",
			Detail: fmt.Sprintf("%q is not limited by the kernel, or not so that it could be given back. Limits are %s.", f.Resource, strings.Join(limitResources, ", "))})
	}
	if f.Value < 0 {
		out = append(out, lab.Problem{Attr: "value", Summary: "a limit below zero",
			Detail: "Write 0 or more."})
	}
	return out
}

// limitsEvidence is what Inject leaves in the machine.
type limitsEvidence struct {
	Processes []limited `json:"processes"`
}

// limited is a process and the soft limit that it had: a number, or "unlimited".
type limited struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
	Soft  string `json:"soft"`
}

func (f *Limits) evidence() string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r <= ' ' {
			return '_'
		}
		return r
	}, fmt.Sprintf("limits-%s-%s-%s", f.Resource, f.Account, f.Unit))
}

// Inject implements lab.Breaker.
func (f *Limits) Inject(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	e, err := f.remembered(ctx, m)
	if err != nil {
		return err
	}
	// A process that is started while the others are looked at has the old limit: until a look finds none.
	for round := range mostRounds {
		all, err := f.look(ctx, m)
		if err != nil {
			return err
		}
		above := slices.DeleteFunc(all, func(p limited) bool { return !f.above(p.Soft) })
		if len(above) == 0 {
			if len(e.Processes) == 0 {
				return fmt.Errorf("cannot limit %s of %s: no process has a limit above %d", f.Resource, f.owner(), f.Value)
			}
			return nil
		}
		if round == 0 {
			env.Say("%s of %d processes of %s is limited to %d", f.Resource, len(above), f.owner(), f.Value)
		}
		e.Processes = append(e.Processes, above...)
		if err := keep(ctx, m, f.evidence(), e); err != nil {
			return err
		}
		for i := range above {
			above[i].Soft = strconv.Itoa(f.Value)
		}
		if err := f.set(ctx, m, above); err != nil {
			return err
		}
	}
	return fmt.Errorf("cannot limit %s of %s: after %d rounds there is still a new process with another limit", f.Resource, f.owner(), mostRounds)
}

// mostRounds is how often processes are looked for that have not the limit yet.
const mostRounds = 20

func (f *Limits) owner() string {
	if f.Unit != "" {
		return f.Unit
	}
	return string(f.Account)
}

// above says whether a soft limit is higher than the fault's.
func (f *Limits) above(soft string) bool {
	n, err := strconv.ParseUint(soft, 10, 64)
	return err != nil || n > uint64(max(f.Value, 0)) // "unlimited" is no number
}

// Verify implements lab.Breaker.
func (f *Limits) Verify(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	all, err := f.look(ctx, m)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("cannot confirm limits: there is no process of %s", f.owner())
	}
	for _, p := range all {
		if f.above(p.Soft) {
			return fmt.Errorf("cannot confirm limits: process %d of %s has %s %s", p.PID, f.owner(), f.Resource, p.Soft)
		}
	}
	return nil
}

// Heal implements lab.Breaker.
func (f *Limits) Heal(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	e, err := f.remembered(ctx, m)
	if err != nil || len(e.Processes) == 0 {
		return err
	}
	for range mostRounds {
		all, err := f.look(ctx, m)
		if err != nil {
			return err
		}
		var back []limited
		for _, p := range all {
			i := slices.IndexFunc(e.Processes, func(q limited) bool { return q.PID == p.PID && q.Start == p.Start })
			had := e.Processes[max(i, 0)].Soft
			if p.Soft == strconv.Itoa(f.Value) && had != p.Soft {
				p.Soft = had
				back = append(back, p)
			}
		}
		if len(back) == 0 {
			_, err := do(ctx, m, "", "rm", "-f", evidencePath(f.evidence()))
			return err
		}
		if err := f.set(ctx, m, back); err != nil {
			return err
		}
	}
	return fmt.Errorf("cannot give %s its %s back: after %d rounds there is still a process without", f.owner(), f.Resource, mostRounds)
}

// remembered is what an Inject has left; nothing is no error.
func (f *Limits) remembered(ctx context.Context, m lab.Running) (e limitsEvidence, err error) {
	if err = kept(ctx, m, f.evidence(), &e); err != nil {
		if failed := (*lab.ExitError)(nil); errors.As(err, &failed) {
			return limitsEvidence{}, nil
		}
	}
	return e, err
}

// look lists the processes of the account or unit, with the soft limit that each has. Zombies have no use for one.
func (f *Limits) look(ctx context.Context, m lab.Running) ([]limited, error) {
	all, err := f.processes(ctx, m)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	r, err := do(ctx, m, "", append([]string{"sh", "-c", readLimits, "sh", limitNames[f.Resource]}, named(all)...)...)
	if err != nil {
		return nil, err
	}
	var out []limited
	for line := range strings.Lines(string(r.Stdout)) {
		var p limited
		if n, _ := fmt.Sscanf(line, "%d:%d %s", &p.PID, &p.Start, &p.Soft); n == 3 {
			out = append(out, p)
		}
	}
	return out, nil
}

func (f *Limits) processes(ctx context.Context, m lab.Running) ([]aProcess, error) {
	all, err := processes(ctx, m)
	if err != nil {
		return nil, err
	}
	uids, err := uidsOf(ctx, m, string(f.Account))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(p aProcess) bool {
		return p.ended() || p.PID == 1 ||
			(f.Account != "" && !slices.ContainsFunc(uids, func(r uidRange) bool { return r.has(p.uid) })) ||
			(f.Unit != "" && !slices.Contains(strings.Split(p.cgroup, "/"), f.Unit))
	}), nil
}

// named gives each process the name that no other has: PID:START.
func named(all []aProcess) []string {
	var out []string
	for _, p := range all {
		out = append(out, fmt.Sprintf("%d:%d", p.PID, p.Start))
	}
	return out
}

// limitNames are the names of the limits in /proc/PID/limits.
var limitNames = map[string]string{
	"nproc": "Max processes", "nofile": "Max open files", "as": "Max address space", "data": "Max data size", "fsize": "Max file size",
	"stack": "Max stack size", "memlock": "Max locked memory", "sigpending": "Max pending signals", "msgqueue": "Max msgqueue size",
}

// readLimits prints the soft limit of each process that is still the same one.
const readLimits = `limit=$1; shift
for p in "$@"; do
	{ IFS= read -r stat <"/proc/${p%:*}/stat"; } 2>/dev/null || continue
	want=${p#*:}
	start=$(set -- ${stat##*) }; shift 19; echo "$1")
	[ "$start" = "$want" ] || continue
	while IFS= read -r line; do
		case $line in "$limit "*) set -f; echo "$p $(set -- ${line#"$limit"}; echo "$1")" ;; esac
	done 2>/dev/null <"/proc/${p%:*}/limits"
done; true`

// set gives processes soft limits. To set another's limit takes its uid, or CAP_SYS_RESOURCE in its user namespace, which a
// host may not have; the owner of a user namespace has it there. So it is done as the process's own user, and for one of a
// rootless container as the account.
func (f *Limits) set(ctx context.Context, m lab.Running, all []limited) error {
	uid, gid := "", ""
	if f.Account != "" {
		var err error
		if uid, err = output(ctx, m, "id", "-u", string(f.Account)); err != nil {
			return err
		}
		if gid, err = output(ctx, m, "id", "-g", string(f.Account)); err != nil {
			return err
		}
	}
	argv := []string{"sh", "-c", writeLimits, "sh", f.Resource, uid, gid}
	for _, p := range all {
		argv = append(argv, fmt.Sprintf("%d:%s", p.PID, p.Soft))
	}
	_, err := do(ctx, m, "", argv...)
	return err
}

// writeLimits fails where a process that is still there did not get its limit. The kernel wants the uid and the gid.
const writeLimits = `resource=$1 uid=$2 gid=$3; own=$2; shift 3
for p in "$@"; do
	pid=${p%:*} soft=${p#*:}
	if [ -z "$own" ]; then
		uid= gid=
		while read -r name real _; do case $name in Uid:) uid=$real ;; Gid:) gid=$real ;; esac; done 2>/dev/null <"/proc/$pid/status"
		[ -n "$gid" ] || continue
	fi
	setpriv --reuid "$uid" --regid "$gid" --clear-groups prlimit --pid "$pid" "--$resource=$soft:" || [ ! -d "/proc/$pid" ] || failed=1
done
[ -z "$failed" ]`
