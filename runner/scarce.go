package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// A host that runs out of something breaks what its machines do, and that is no symptom: a service in a container cannot write, a VM
// stands still because its disk cannot grow, a process is killed for lack of memory.

// scarceEvery is how often it is looked at whether the host has run out of anything.
const scarceEvery = 250 * time.Millisecond

// untilScarce returns a context that ends when the host has run out of something. Its stop says what that was; nil: of nothing.
func (a *arm) untilScarce(ctx context.Context) (limited context.Context, stop func() error) {
	if a.r.Scarce == nil {
		return ctx, func() error { return nil }
	}
	limited, cancel := context.WithCancelCause(ctx)
	look := func() {
		if what := a.r.Scarce(); what != "" {
			cancel(&lab.InfraError{What: fmt.Sprintf("the host ran short while the %s arm ran, and what its machines show is owed to that: %s", a.name, what)})
		}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(scarceEvery)
		defer tick.Stop()
		for limited.Err() == nil {
			look()
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	}()
	return limited, func() error {
		close(end)
		<-ended
		look()
		cause := context.Cause(limited)
		cancel(nil)
		if short := (*lab.InfraError)(nil); ctx.Err() == nil && errors.As(cause, &short) {
			return short
		}
		return nil
	}
}

// Kill is a process that a kernel has killed because there was no memory left for all.
type Kill struct {
	Machine lab.MachineRef `json:"machine"`
	Process string         `json:"process"`        // its name
	At      time.Time      `json:"at"`             // the host's clock
	Host    bool           `json:"host,omitempty"` // it was the host's kernel, which the machine shares
}

// killTime bounds the question for the kernel's log.
const killTime = 10 * time.Second

// kernelLog prints which boot it is of, how long ago that was, and the log with the seconds since then.
const kernelLog = "cat /proc/sys/kernel/random/boot_id /proc/uptime && dmesg"

// killedProcess is what the kernel says when the machine has no memory left (mm/oom_kill.c). Of a group of processes with a limit of its own it
// says "Memory cgroup out of memory": that is a limit that the lab has set.
var killedProcess = regexp.MustCompile(`(?m)^\[ *([0-9.]+)\] .*Out of memory: Killed process [0-9]+ \(([^)]*)\)`)

// findKills notes which processes the machines' kernels have killed for lack of memory. A machine that cannot be asked says nothing.
func (a *arm) findKills(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTime)
	defer cancel()
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	for _, m := range a.machines {
		res, err := m.Run(ctx, lab.Command{Argv: []string{"sh", "-c", kernelLog}})
		if err != nil || res.Code != 0 {
			continue
		}
		a.kills = append(a.kills, readKills(m.Ref(), string(res.Stdout), strings.TrimSpace(string(boot)), a.now(), a.began)...)
	}
}

// readKills reads what kernelLog has printed. What was before began was not in the arm.
func readKills(ref lab.MachineRef, text, boot string, now, began time.Time) []Kill {
	id, rest, _ := strings.Cut(text, "\n")
	seconds, log, _ := strings.Cut(rest, " ")
	up, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		return nil
	}
	var out []Kill
	for _, found := range killedProcess.FindAllStringSubmatch(log, -1) {
		after, err := strconv.ParseFloat(found[1], 64)
		at := now.Add(-time.Duration((up - after) * float64(time.Second)))
		shared := strings.TrimSpace(id) == boot
		if err == nil && (!shared || !at.Before(began)) {
			out = append(out, Kill{Machine: ref, Process: found[2], At: at, Host: shared})
		}
	}
	return out
}

// names lists the processes of kills, each once.
func names(kills []Kill) string {
	var out []string
	for _, k := range kills {
		out = append(out, k.Process)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}

// killedIn says who was killed where; empty: nobody.
func killedIn(kills []Kill) string {
	if len(kills) == 0 {
		return ""
	}
	whose := "the kernel of " + string(kills[0].Machine)
	if kills[0].Host {
		whose = "the kernel of the host"
	}
	return fmt.Sprintf("%s killed %s for lack of memory", whose, names(kills))
}

// starved says why a trial proves nothing in which memory was short: in the host, or in a machine to which nothing had been done yet.
// What is killed when the faults are in force may be what they do.
func starved(arms []Arm) string {
	for _, a := range arms {
		var host, machine []Kill
		injected := time.Time{}
		for _, p := range a.Phases {
			if p.Kind == Inject {
				injected = p.Start
			}
		}
		for _, k := range a.Kills {
			switch {
			case k.Host:
				host = append(host, k)
			case a.Name == Control, injected.IsZero(), k.At.Before(injected):
				machine = append(machine, k)
			}
		}
		switch {
		case len(host) > 0:
			return fmt.Sprintf("%s while the %s arm ran", killedIn(host), a.Name)
		case len(machine) > 0:
			return fmt.Sprintf("%s in the %s arm, where no fault was in force: the machine's memory is too small for what runs in it", killedIn(machine), a.Name)
		}
	}
	return ""
}

// hungry says who was killed when the faults were in force: it may explain the verdict.
func hungry(arms []Arm) string {
	for _, a := range arms {
		if why := killedIn(a.Kills); why != "" {
			return why + " in the " + a.Name + " arm"
		}
	}
	return ""
}
