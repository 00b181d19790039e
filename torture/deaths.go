package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// deathLab has phases that take long enough to be struck in.
const deathLab = "torture/testdata/slow-typo"

// moment is when something dies: when a line appears in the run's events.
type moment struct {
	name  string
	words []string // of the line
	arm   string   // whose machine it is
}

// moments are those of a run, in their order.
func moments() []moment {
	of := func(arm, what, phase string) []string {
		words := []string{`"type":"` + what + `"`, `"arm":"` + arm + `"`}
		if phase != "" {
			words = append(words, `"phase":"`+phase+`"`)
		}
		return words
	}
	return []moment{
		{"the boot", []string{`machine`, `"type":"step"`, `"arm":"fault"`}, runner.Fault}, // starting one, or restoring them
		{"the injection", of(runner.Fault, "phase_started", "inject"), runner.Fault},
		{"the control arm", of(runner.Control, "phase_started", "hold"), runner.Control},
		{"the fault", of(runner.Fault, "phase_started", "fault"), runner.Fault},
		{"the soak", of(runner.Fault, "phase_started", "soak take_typo_back"), runner.Fault},
		{"the end", of(runner.Fault, "arm_ended", ""), runner.Fault},
	}
}

func (m moment) is(l appearance) bool {
	return l.word == "events" && !slices.ContainsFunc(m.words, func(w string) bool { return !strings.Contains(l.text, w) })
}

// death is something that dies while saigen lives.
type death struct {
	name    string
	driver  string
	moments []string // names; none: all
	// strike kills it, on a machine of the arm with that id. It returns false when there is nothing to kill any more.
	strike func(ctx context.Context, h *host, id lab.RunID) (bool, error)
	// told is in what saigen says then, one of them.
	told []string
}

// deaths is the table.
func deaths() []death {
	vm := []string{"the injection", "the fault", "the control arm", "the soak"}
	return []death{
		{name: "the engine's podman, container", driver: "container", strike: kill(podmanService), told: []string{"the container engine has ended", "cannot start the container engine: it has ended"}},
		{name: "the machine's conmon, container", driver: "container", strike: kill(conmon), told: []string{"cannot start container"}},
		{name: "the machine's init, container", driver: "container", strike: kill(machineInit), told: []string{"has stopped", "cannot start container"}},
		{name: "the guest agent, container", driver: "container", strike: kill(guestAgent), told: []string{"saigen's agent in machine.web has ended"}},
		{name: "QEMU, qemu", driver: "qemu", strike: kill(qemuOf), told: []string{"QEMU has ended"}},
		{name: "the guest agent, qemu", driver: "qemu", moments: vm[:2], strike: inMachine("systemctl kill --signal=KILL saigen-agent"), told: []string{"saigen's agent in machine.web has ended"}},
		{name: "the machine's kernel, qemu", driver: "qemu", moments: vm[:2], strike: inMachine("echo c >/proc/sysrq-trigger"), told: []string{"QEMU has ended"}},
	}
}

// bearable is how long saigen may take to end after something has died.
const bearable = 2 * time.Minute

// die has everything die that a run stands on, at several moments of it.
func die(ctx context.Context, h *host) (f figures, err error) {
	path, err := h.lab(deathLab)
	if err != nil {
		return nil, err
	}
	all := deaths()
	if why := lacks("qemu-system-x86_64", "qemu-img")(); why != "" {
		h.say("only on container: %s", why)
		all = slices.DeleteFunc(all, func(d death) bool { return d.driver == "qemu" })
	}
	var provided []string
	for _, d := range all {
		if only, _, _ := strings.Cut(h.at, " at "); only != "" && only != d.name {
			continue
		}
		if !slices.Contains(provided, d.driver) {
			if err := h.provide(ctx, path, d.driver); err != nil {
				return f, err
			}
			if _, err := h.patiently(ctx, &tally{}, "--driver", d.driver, path); err != nil { // on qemu it also saves the snapshot
				return f, err
			}
			provided = append(provided, d.driver)
		}
		t := &tally{What: d.name}
		f = append(f, t)
		for _, m := range moments() {
			if len(d.moments) > 0 && !slices.Contains(d.moments, m.name) || strings.Contains(h.at, " at ") && h.at != d.name+" at "+m.name {
				continue
			}
			if err := d.at(ctx, h, t, m, path); err != nil {
				return f, fmt.Errorf("%s at %s: %w", d.name, m.name, err)
			}
		}
		if t.Points == 0 {
			return f, fmt.Errorf("%s: there was nothing to kill at any moment", d.name)
		}
		h.say("%s: %d times: %d leaks, %d damaged, %d wrong", t.What, t.Points, t.Leaks, t.Damaged, t.Wrong)
	}
	if len(f) == 0 {
		return f, fmt.Errorf("there is no target %q", h.at)
	}
	return f, nil
}

// at has it die once, and looks at what saigen makes of it.
func (d death) at(ctx context.Context, h *host, t *tally, m moment, path string) error {
	sealed, err := h.seal()
	if err != nil {
		return err
	}
	w, err := h.watch()
	if err != nil {
		return err
	}
	p, err := h.start("run", "--driver", d.driver, path)
	if err != nil {
		w.close()
		return err
	}
	struck, err := d.struck(ctx, h, p, w, m)
	w.close()
	died := time.Now()
	if err != nil {
		p.stop()
		return err
	}
	got := p.wait(ctx, bearable)
	if !struck {
		h.say("%s at %s: there was nothing to kill", d.name, m.name)
		return nil
	}
	t.Points++
	t.took(time.Since(died))
	outcome, complaint := d.judge(h, got)
	t.came(outcome)
	h.say("%s at %s: %s after %.1f s", d.name, m.name, outcome, time.Since(died).Seconds())
	if complaint != "" {
		t.failed(m.name, wrong, complaint)
		h.say("%s", complaint)
	}
	left, err := h.left(ctx, got.run)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		h.say("left: %s", short(left))
		t.failed(m.name, leak, left...)
		if _, err := h.gc(ctx); err != nil {
			return err
		}
		if err := h.remember(); err != nil {
			return err
		}
	}
	if _, err := h.patiently(ctx, t, "--driver", d.driver, path); err != nil {
		t.failed(m.name, wrong, "the next run: "+err.Error())
	}
	bad, err := sealed.broken(false)
	t.failed(m.name, damaged, bad...)
	return errors.Join(err, ctx.Err())
}

// struck waits for the moment, and has it die.
func (d death) struck(ctx context.Context, h *host, p *process, w *watcher, m moment) (bool, error) {
	for {
		select {
		case l, ok := <-w.lines:
			if !ok {
				return false, fmt.Errorf("cannot watch the runs: %w", w.err)
			}
			if !m.is(l) {
				continue
			}
			id := p.run()
			if m.arm == runner.Control {
				id += "-control"
			}
			go func() { // nobody else reads them now
				for range w.lines {
				}
			}()
			return d.strike(ctx, h, id)
		case <-p.ended:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// judge says what became of a saigen that something died under, and what was wrong with it.
func (d death) judge(h *host, got said) (outcome, complaint string) {
	switch got.exit {
	case runner.ExitExpected:
		if err := h.right(got.run); err != nil {
			return "a wrong verdict", err.Error()
		}
		return "the right verdict", ""
	case runner.ExitInconclusive:
		if busy(h, got.run) { // it went on to its end
			return "inconclusive, since the host was too busy", ""
		}
		said := strings.Join(strings.Fields(got.out+got.stderr), " ") // lines end where the terminal does
		if !slices.ContainsFunc(d.told, func(s string) bool { return strings.Contains(said, s) }) {
			return "inconclusive", "it does not say what has died: " + got.line()
		}
		return "inconclusive", ""
	}
	return fmt.Sprintf("exit code %d", got.exit), got.line()
}
