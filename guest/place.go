package guest

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"github.com/saigen-lab/saigen/lab"
)

// place is what an observer sees of this machine.
type place struct {
	agent  *agent
	stacks []lab.Stack
}

var _ lab.Place = (*place)(nil)

func (p *place) Stack(ref lab.StackRef) (lab.Stack, bool) {
	for _, s := range p.stacks {
		if s.Name == ref.Name() {
			return s, true
		}
	}
	return lab.Stack{}, false
}

// Run executes a command as one that comes from the host, without the way there.
func (p *place) Run(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		r, w := newFrameReader(theirs), newFrameWriter(theirs)
		if q, err := r.request(); err == nil {
			p.agent.run(ctx, r, w, *q.Run)
		}
	}()
	s := newStream(context.WithoutCancel(ctx), ours)
	defer s.close()
	if err := s.w.writeJSON(frameRequest, runRequestOf(cmd)); err != nil {
		return lab.Result{}, fmt.Errorf("cannot run %q: %w", cmd.Argv, s.explain(err))
	}
	return s.run(ctx, cmd)
}

// Processes lists the machine's processes. One that ends during the look is left out.
func (p *place) Processes(ctx context.Context) ([]lab.Process, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	all, err := fs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	owners, err := readOwners()
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	var out []lab.Process
	for _, one := range all {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		stat, err := one.Stat()
		if err != nil {
			continue
		}
		cmdline, _ := one.CmdLine() // empty for a zombie
		status, err := one.NewStatus()
		if err != nil {
			continue
		}
		out = append(out, lab.Process{
			PID: stat.PID, PPID: stat.PPID, Name: stat.Comm, Cmdline: cmdline, State: stat.State,
			Account: owners.name(int(status.UIDs[1])), Cgroup: cgroupOf(stat.PID), Memory: int64(stat.ResidentMemory()),
		})
	}
	return out, nil
}

// cgroupOf is a process's path in the cgroup v2 hierarchy; empty when the process has gone.
func cgroupOf(pid int) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSpace(path)
		}
	}
	return ""
}

// owners gives uids their names. A subordinate uid has the name of the account it was given to: what runs in a
// rootless container of alice is alice's, whatever user it is inside.
type owners struct {
	names  map[int]string
	ranges []idRange
}

func readOwners() (owners, error) {
	data, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return owners{}, err
	}
	o := owners{names: map[int]string{}}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(line, ":"); len(f) > 2 {
			if uid, err := strconv.Atoi(f[2]); err == nil {
				o.names[uid] = f[0]
			}
		}
	}
	o.ranges, err = subordinates("/etc/subuid")
	return o, err
}

func (o owners) name(uid int) string {
	if n, ok := o.names[uid]; ok {
		return n
	}
	for _, r := range o.ranges {
		if uid >= r.first && uid < r.first+r.count {
			return r.account
		}
	}
	return strconv.Itoa(uid)
}
