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

// ProcessKill sends a signal to the processes of the machine that have everything asked for, and waits until each of them has ended, or with
// STOP, has stopped. There must be one. What is started again meanwhile, by systemd say, is another process.
//
// The machine's init and the agent through which saigen works are never among them.
//
// In force: not one of them is alive, or with STOP, each of them is stopped still. Healing continues stopped ones; one that has ended cannot be
// given back.
type ProcessKill struct {
	// The machine whose processes are hit.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The signal: "KILL", "TERM", "INT", "HUP", "QUIT", "ABRT", "SEGV", or "STOP". Default: "KILL".
	Signal string `hcl:"signal,optional" json:"signal,omitempty"`
	// Their owner. What runs in a rootless container is its account's, whatever user it is inside. Default: anybody.
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"`
	// The name that ps -o comm shows: at most 15 bytes.
	Name string `hcl:"name,optional" json:"name,omitempty"`
	// The systemd unit that they belong to, of the system or of a user, with everything below it: "ssh.service", "user@1000.service",
	// "user-1000.slice".
	Unit string `hcl:"unit,optional" json:"unit,omitempty"`
	// A pattern for their cgroup, as "^/user\\.slice/user-0\\.slice/".
	Cgroup lab.Pattern `hcl:"cgroup,optional" json:"cgroup,omitempty"`
	// TCP ports of the machine: only processes that listen on one of them, as fuser -k finds them.
	Ports []int `hcl:"ports,optional" json:"ports,omitempty"`
	// How long they may take to end. Default: "20s".
	Timeout lab.Duration `hcl:"timeout,optional" json:"timeout,omitempty"`
}

const stop = "STOP"

// killSignals can be told from what they do to a process: it ends, or stops.
var killSignals = []string{"KILL", "TERM", "INT", "HUP", "QUIT", "ABRT", "SEGV", stop}

// Check implements lab.Checker.
func (f *ProcessKill) Check() []lab.Problem {
	var out []lab.Problem
	if !slices.Contains(killSignals, f.Signal) {
		out = append(out, lab.Problem{Attr: "signal", Summary: "no such signal",
			Detail: fmt.Sprintf("%q does not end or stop a process, so nobody could say whether it had arrived. Signals are %s.", f.Signal, strings.Join(killSignals, ", "))})
	}
	if f.Account == "" && f.Name == "" && f.Unit == "" && f.Cgroup == "" && len(f.Ports) == 0 {
		out = append(out, lab.Problem{Summary: "every process of the machine",
			Detail: "Without a choice the whole machine would be killed. Say which processes with account, name, unit, cgroup or ports."})
	}
	if len(f.Name) > commLen {
		out = append(out, lab.Problem{Attr: "name", Summary: "longer than any process name",
			Detail: fmt.Sprintf("The kernel keeps %d bytes of a process name, so %q never matches. Write %q.", commLen, f.Name, f.Name[:commLen])})
	}
	if f.Unit != "" && !strings.Contains(f.Unit, ".") {
		out = append(out, lab.Problem{Attr: "unit", Summary: "unit without its kind",
			Detail: fmt.Sprintf("%q could be a service, a scope or a slice. Write the whole name, such as \"%s.service\".", f.Unit, f.Unit)})
	}
	for _, p := range f.Ports {
		if p < 1 || p > 65535 {
			out = append(out, lab.Problem{Attr: "ports", Summary: "no such port",
				Detail: fmt.Sprintf("%d is not a port. Write 1 to 65535.", p)})
		}
	}
	return out
}

// commLen is the longest name that the kernel keeps, in bytes.
const commLen = 15

// aProcess is one process of a machine. Its pid and its start together are nobody else's.
type aProcess struct {
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"` // in ticks since the boot
	Name   string `json:"name"`
	uid    int
	cgroup string
	state  string
}

// killedEvidence is what Inject leaves in the machine.
type killedEvidence struct {
	Processes []aProcess `json:"processes"`
}

// evidence has all that chooses the processes in its name, so that two faults of this kind do not share a file.
func (f *ProcessKill) evidence() string {
	name := fmt.Sprintf("process_kill-%s-%s-%s-%s-%s-%v", f.Signal, f.Account, f.Name, f.Unit, f.Cgroup, f.Ports)
	return strings.Map(func(r rune) rune {
		if r == '/' || r <= ' ' {
			return '_'
		}
		return r
	}, name)
}

// Inject implements lab.Breaker.
func (f *ProcessKill) Inject(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	hit, err := f.chosen(ctx, m)
	if err != nil {
		return err
	}
	if len(hit) == 0 {
		return fmt.Errorf("cannot kill anything on %s: there is no process with %s", f.Machine, f.choice())
	}
	if err := keep(ctx, m, f.evidence(), killedEvidence{hit}); err != nil {
		return err
	}
	env.Say("SIG%s to %s", f.Signal, namesOf(hit))
	if err := signal(ctx, m, f.Signal, hit); err != nil {
		return err
	}
	return await(ctx, f.Timeout.Value(), fmt.Sprintf("%s must have got SIG%s", namesOf(hit), f.Signal), func() (bool, error) {
		left, err := f.untouched(ctx, m, hit)
		return len(left) == 0, err
	})
}

// Verify implements lab.Breaker.
func (f *ProcessKill) Verify(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	var e killedEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		return err
	}
	left, err := f.untouched(ctx, m, e.Processes)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("cannot confirm process_kill: %s goes on", namesOf(left))
	}
	return nil
}

// Heal implements lab.Breaker.
func (f *ProcessKill) Heal(ctx context.Context, env lab.Env) error {
	if f.Signal != stop {
		return nil
	}
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	var e killedEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		if failed := (*lab.ExitError)(nil); errors.As(err, &failed) {
			return nil // nothing was stopped
		}
		return err
	}
	return signal(ctx, m, "CONT", e.Processes)
}

// chosen lists the processes that have everything asked for.
func (f *ProcessKill) chosen(ctx context.Context, m lab.Running) ([]aProcess, error) {
	all, err := processes(ctx, m)
	if err != nil {
		return nil, err
	}
	uids, err := uidsOf(ctx, m, string(f.Account))
	if err != nil {
		return nil, err
	}
	var listening []int
	if len(f.Ports) > 0 {
		if listening, err = f.listening(ctx, m); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(all, func(p aProcess) bool {
		ours := p.PID == 1 || (p.uid == 0 && p.Name == "saigen") || p.ended()
		return ours ||
			(f.Account != "" && !slices.ContainsFunc(uids, func(r uidRange) bool { return r.has(p.uid) })) ||
			(f.Name != "" && p.Name != f.Name) ||
			(f.Unit != "" && !slices.Contains(strings.Split(p.cgroup, "/"), f.Unit)) ||
			(f.Cgroup != "" && !f.Cgroup.Regexp().MatchString(p.cgroup)) ||
			(len(f.Ports) > 0 && !slices.Contains(listening, p.PID))
	}), nil
}

func (f *ProcessKill) choice() string {
	var out []string
	for _, c := range []struct{ what, value string }{
		{"account", string(f.Account)}, {"name", f.Name}, {"unit", f.Unit}, {"cgroup", string(f.Cgroup)},
	} {
		if c.value != "" {
			out = append(out, fmt.Sprintf("%s %q", c.what, c.value))
		}
	}
	if len(f.Ports) > 0 {
		out = append(out, fmt.Sprintf("one of the ports %v", f.Ports))
	}
	return strings.Join(out, ", ")
}

// listening lists the pids of the processes that listen on one of the ports.
func (f *ProcessKill) listening(ctx context.Context, m lab.Running) ([]int, error) {
	var out []int
	for _, number := range f.Ports {
		inodes, err := port{TCP, number}.holders(ctx, m)
		if err != nil {
			return nil, err
		}
		for _, inode := range inodes {
			// Its code is not looked at: processes come and go while find looks at them.
			r, err := try(ctx, m, "", "sh", "-c", `find /proc/[0-9]*/fd -lname "socket:\[$1\]" 2>/dev/null`, "sh", inode)
			if err != nil {
				return nil, err
			}
			for line := range strings.Lines(string(r.Stdout)) {
				if at := strings.Split(line, "/"); len(at) > 2 {
					if pid, err := strconv.Atoi(at[2]); err == nil {
						out = append(out, pid)
					}
				}
			}
		}
	}
	return out, nil
}

// untouched lists those on which the signal has not had its effect.
func (f *ProcessKill) untouched(ctx context.Context, m lab.Running, hit []aProcess) ([]aProcess, error) {
	now, err := processes(ctx, m)
	return slices.DeleteFunc(now, func(p aProcess) bool {
		was := slices.ContainsFunc(hit, func(q aProcess) bool { return q.PID == p.PID && q.Start == p.Start })
		return !was || p.ended() || (f.Signal == stop && p.state == "T")
	}), err
}

func (p aProcess) ended() bool { return p.state == "Z" || p.state == "X" }

func namesOf(processes []aProcess) string {
	var out []string
	for _, p := range processes {
		out = append(out, fmt.Sprintf("%s (%d)", p.Name, p.PID))
	}
	return strings.Join(out, ", ")
}

// signal sends a signal to processes; those that have ended are left out, and their pids are not somebody else's.
func signal(ctx context.Context, m lab.Running, name string, to []aProcess) error {
	argv := []string{"sh", "-c", sendSignal, "sh", name}
	for _, p := range to {
		argv = append(argv, fmt.Sprintf("%d:%d", p.PID, p.Start))
	}
	_, err := do(ctx, m, "", argv...)
	return err
}

// sendSignal reads a process's start in /proc/PID/stat, where it is the 20th word after the name, just before it sends the signal.
const sendSignal = `signal=$1; shift
for p in "$@"; do
	{ IFS= read -r stat <"/proc/${p%:*}/stat"; } 2>/dev/null || continue
	want=${p#*:} pid=${p%:*}
	start=$(set -- ${stat##*) }; shift 19; echo "$1")
	if [ "$start" = "$want" ]; then kill -s "$signal" "$pid" 2>/dev/null; fi
done; true`

// processes lists the machine's processes; one that ends meanwhile is left out.
func processes(ctx context.Context, m lab.Running) ([]aProcess, error) {
	r, err := do(ctx, m, "", "sh", "-c", listProcesses)
	if err != nil {
		return nil, err
	}
	uids, cgroups := map[string]int{}, map[string]string{}
	var out []aProcess
	for line := range strings.Lines(string(r.Stdout)) {
		path, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		switch pid := strings.Split(path+"///", "/")[2]; {
		case strings.HasSuffix(path, "/status"):
			if f := strings.Fields(text); len(f) > 2 { // Uid: real effective …
				uids[pid], _ = strconv.Atoi(f[2])
			}
		case strings.HasSuffix(path, "/cgroup"):
			cgroups[pid] = strings.TrimPrefix(text, "0::")
		default:
			p, ok := parseStat(text)
			uid, whole := uids[pid]
			if p.uid, p.cgroup = uid, cgroups[pid]; ok && whole {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// listProcesses prints the uids, the cgroup (of v2) and /proc/PID/stat of all processes, each line after its path. Processes come
// and go meanwhile, which grep minds.
const listProcesses = `cd /; grep -sH '^Uid:' /proc/[0-9]*/status; grep -sH '^0::' /proc/[0-9]*/cgroup; grep -saH '' /proc/[0-9]*/stat; true`

// parseStat reads /proc/PID/stat: pid (name) state … with the start as the 22nd word. The name may hold anything.
func parseStat(stat string) (aProcess, bool) {
	pid, rest, _ := strings.Cut(stat, " (")
	i := strings.LastIndex(rest, ")")
	if i < 0 {
		return aProcess{}, false
	}
	f := strings.Fields(rest[i+1:])
	if len(f) < 20 {
		return aProcess{}, false
	}
	p := aProcess{Name: rest[:i], state: f[0]}
	var err1, err2 error
	p.PID, err1 = strconv.Atoi(pid)
	p.Start, err2 = strconv.ParseUint(f[19], 10, 64)
	return p, err1 == nil && err2 == nil
}

type uidRange struct{ first, count int }

func (r uidRange) has(uid int) bool { return uid >= r.first && uid < r.first+r.count }

// uidsOf lists the uids of an account: its own, and the subordinate ones that its containers run as.
func uidsOf(ctx context.Context, m lab.Running, account string) ([]uidRange, error) {
	if account == "" {
		return nil, nil
	}
	uid, err := output(ctx, m, "id", "-u", account)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(uid)
	if err != nil {
		return nil, fmt.Errorf("cannot read the uid of %s: %w", account, err)
	}
	out := []uidRange{{n, 1}}
	// Machines without uidmap have no such file.
	r, err := try(ctx, m, "", "cat", "/etc/subuid")
	for line := range strings.Lines(string(r.Stdout)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 || (f[0] != account && f[0] != uid) {
			continue
		}
		first, err1 := strconv.Atoi(f[1])
		count, err2 := strconv.Atoi(f[2])
		if err1 == nil && err2 == nil {
			out = append(out, uidRange{first, count})
		}
	}
	return out, err
}
