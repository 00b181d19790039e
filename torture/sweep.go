package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/runner"
)

// sweepLab is small: a machine, a fault, no stack.
const sweepLab = examples + "/nginx-typo"

// target is a saigen command that is killed at many points.
type target struct {
	name   string // in the page, and for -at
	driver string
	share  int // of 100 points
	args   []string
	// before does what the command needs to find, and returns the run that it is about, if there is one.
	before func(ctx context.Context, h *host, lab string) (lab.RunID, error)
	// saves says that a snapshot of the baseline may be there afterwards which was not before.
	saves bool
}

// targets is the table. A run on qemu takes longer than one on container, so that it has fewer points.
func targets() []target {
	return []target{
		{name: "run on container", driver: "container", share: 45, args: []string{"run"}},
		{name: "up on container", driver: "container", share: 9, args: []string{"up"}},
		{name: "down on container", driver: "container", share: 7, args: []string{"down"}, before: broughtUp},
		{name: "gc on container", driver: "container", share: 7, args: []string{"gc"}, before: killedInTheFault("container")},
		{name: "run on qemu", driver: "qemu", share: 18, args: []string{"run"}},
		{name: "first run on qemu", driver: "qemu", share: 5, args: []string{"run"}, before: noSnapshot, saves: true},
		{name: "fresh run on qemu", driver: "qemu", share: 5, args: []string{"run", "--fresh"}},
		{name: "gc on qemu", driver: "qemu", share: 4, args: []string{"gc"}, before: killedInTheFault("qemu")},
	}
}

// command is the target's command line for a lab.
func (t target) command(lab string) []string {
	if t.args[0] == "run" || t.args[0] == "up" {
		return append(slices.Clone(t.args), "--driver", t.driver, lab)
	}
	return t.args
}

// sweep kills saigen at every step of everything.
func sweep(ctx context.Context, h *host) (figures, error) {
	all := targets()
	if why := lacks("qemu-system-x86_64", "qemu-img")(); why != "" {
		h.say("only on container: %s", why)
		all = slices.DeleteFunc(all, func(t target) bool { return t.driver == "qemu" })
	}
	s := &sweeper{h: h}
	return s.sweep(ctx, all, h.points)
}

// sweeper is a sweep under way.
type sweeper struct {
	h      *host
	lab    string
	sealed *sealed
	done   int
	tally  *tally
	target target
}

// deepEvery is after how many points every file of the cache is read, and not only looked at.
const deepEvery = 20

func (s *sweeper) sweep(ctx context.Context, all []target, points int) (f figures, err error) {
	if s.lab, err = s.h.lab(sweepLab); err != nil {
		return nil, err
	}
	var provided []string
	for _, t := range all {
		if only, _, _ := strings.Cut(s.h.at, " at "); only != "" && only != t.name {
			continue
		}
		if !slices.Contains(provided, t.driver) {
			if err := s.h.provide(ctx, s.lab, t.driver); err != nil {
				return f, err
			}
			provided = append(provided, t.driver)
		}
		s.target, s.tally = t, &tally{What: t.name}
		f = append(f, s.tally)
		if err := s.kills(ctx, max(1, (points*t.share+50)/100)); err != nil {
			return f, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	if s.sealed == nil {
		return f, fmt.Errorf("there is no target %q", s.h.at)
	}
	s.stores("the end", true)
	return f, nil
}

// kills kills one target at n points.
func (s *sweeper) kills(ctx context.Context, n int) error {
	if _, err := s.right(ctx); err != nil { // on qemu it also saves the snapshot that the runs after it start from
		return err
	}
	if err := s.reseal(); err != nil {
		return err
	}
	if err := s.h.remember(); err != nil {
		return err
	}
	p, err := s.profile(ctx)
	if err != nil {
		return err
	}
	points := p.points(n)
	if _, only, ok := strings.Cut(s.h.at, " at "); ok {
		one, err := p.point(only)
		if err != nil {
			return err
		}
		points = []point{one, one} // cleaned up after by gc, and by the next run
	}
	s.h.say("%s: %d lines in %.1f s, %d points", s.target.name, len(p.lines), p.took.Seconds(), len(points))
	for i, at := range points {
		// A command's last line, say of what down has undone, may be seen only when it has ended: it is killed earlier then.
		for killed, more := false, true; !killed && more; at, more = at.earlier() {
			if killed, err = s.at(ctx, at, i%2 == 0); err != nil {
				return fmt.Errorf("at %s: %w", at, err)
			}
		}
	}
	if s.tally.Points == 0 {
		return errors.New("it was never killed: no point came before its end")
	}
	s.h.say("%s: killed %d times: %d leaks, %d damaged, %d wrong", s.target.name, s.tally.Points, s.tally.Leaks, s.tally.Damaged, s.tally.Wrong)
	return nil
}

// profile has the target run to its end.
func (s *sweeper) profile(ctx context.Context) (*profile, error) {
	if s.target.before != nil {
		if _, err := s.target.before(ctx, s.h, s.lab); err != nil {
			return nil, err
		}
	}
	p, got, err := s.h.profiled(ctx, s.target.command(s.lab)...)
	if err != nil {
		return nil, err
	}
	if got.exit != 0 && !busy(s.h, got.run) {
		return nil, got.err()
	}
	if _, err := s.clean(ctx); err != nil {
		return nil, err
	}
	return p, s.reseal()
}

// at kills the target once, and looks at what comes of it; false: it had ended before.
func (s *sweeper) at(ctx context.Context, p point, gc bool) (bool, error) {
	s.done++
	t, name := s.tally, p.String()
	var run lab.RunID
	if s.target.before != nil {
		var err error
		if run, err = s.target.before(ctx, s.h, s.lab); err != nil {
			return false, err
		}
		if s.target.saves {
			if err := s.reseal(); err != nil {
				return false, err
			}
		}
	}
	v, err := s.h.kill(ctx, p, s.target.command(s.lab)...)
	if err != nil {
		return false, err
	}
	if began := v.run(); began != "" {
		run = began
	}
	if !v.killed {
		t.came("had ended before")
		if _, err := s.clean(ctx); err != nil {
			return false, err
		}
		return false, s.forget("")
	}
	t.Points++
	if v.line != "" {
		name += fmt.Sprintf(" (%.120s)", v.line)
	}
	dead, err := ledger.Left(s.h.folder())
	if err != nil {
		return true, err
	}
	if len(dead) > 0 {
		t.came("left something to undo")
	} else {
		t.came("left nothing to undo")
	}
	if gc || s.target.args[0] != "run" { // a run that was up is not for the next run to remove
		took, err := s.clean(ctx)
		if err != nil {
			t.failed(name, wrong, err.Error())
		}
		if len(dead) > 0 {
			t.took(took)
		}
		if err := s.left(ctx, name+", after gc", run); err != nil {
			return true, err
		}
	}
	next, err := s.right(ctx)
	if ctx.Err() != nil {
		return true, ctx.Err()
	}
	if err != nil {
		s.h.say("%s at %s: the next run: %v", t.What, name, err)
		t.failed(name, wrong, "the next run: "+err.Error())
	}
	for _, id := range []lab.RunID{run, next.run} {
		if err := s.left(ctx, name+", after the next run", id); err != nil {
			return true, err
		}
	}
	s.stores(name, s.done%deepEvery == 0)
	if s.done%10 == 0 {
		s.h.say("%s: %d points", s.target.name, t.Points)
	}
	return true, s.forget(next.run)
}

// clean has gc clean up, and down where a run was up, and returns how long gc took.
func (s *sweeper) clean(ctx context.Context) (time.Duration, error) {
	took, err := s.h.gc(ctx)
	if up := s.target.args[0]; err == nil && (up == "up" || up == "down") {
		if down := s.h.saigen(ctx, cleanTime, "down", "--all"); down.exit != 0 {
			err = errors.New(down.line())
		}
	}
	return took, err
}

// left notes what is there of a run, and takes it for what was there before, so that it is not counted again.
func (s *sweeper) left(ctx context.Context, at string, run lab.RunID) error {
	left, err := s.h.left(ctx, run)
	if err != nil || len(left) == 0 {
		return err
	}
	s.h.say("%s at %s: left: %s", s.target.name, at, short(left))
	s.tally.failed(at, leak, left...)
	return s.h.remember()
}

// stores notes what is not in the cache any more as it was, and what is in it that nobody finds.
func (s *sweeper) stores(at string, deep bool) {
	bad, err := s.sealed.broken(deep)
	if err != nil {
		bad = append(bad, err.Error())
	}
	s.tally.failed(at, damaged, bad...)
	more, err := s.sealed.more()
	switch {
	case err != nil:
		s.tally.failed(at, damaged, err.Error())
		return
	case !s.target.saves:
		s.tally.failed(at, leak, more...)
	}
	if len(bad)+len(more) > 0 {
		if err := s.reseal(); err != nil {
			s.tally.failed(at, damaged, err.Error())
		}
	}
}

func (s *sweeper) reseal() (err error) {
	s.sealed, err = s.h.seal()
	return err
}

// right runs the lab on the target's driver, to its verdict.
func (s *sweeper) right(ctx context.Context) (said, error) {
	return s.h.patiently(ctx, s.tally, "--driver", s.target.driver, s.lab)
}

// patience is how often a run is repeated for which the host was too busy: that is what such a run itself says.
const patience = 3

// patiently runs a lab to its verdict.
func (h *host) patiently(ctx context.Context, t *tally, args ...string) (got said, err error) {
	for range patience {
		if got, err = h.whole(ctx, args...); err == nil || ctx.Err() != nil || !busy(h, got.run) {
			return got, err
		}
		t.came("the run after it was repeated, since the host was too busy")
	}
	return got, err
}

// busy says whether a run could not judge because the host had other work.
func busy(h *host, run lab.RunID) bool {
	found, _ := filepath.Glob(filepath.Join(h.folder(), string(run), "*", runner.VerdictFile))
	return slices.ContainsFunc(found, func(file string) bool {
		data, err := os.ReadFile(file)
		var o runner.Outcome
		return err == nil && json.Unmarshal(data, &o) == nil && o.Verdict == lab.Inconclusive && strings.Contains(o.Because, "the host was too busy")
	})
}

// forget removes the evidence of all runs but one.
func (s *sweeper) forget(keep lab.RunID) error {
	for run := range s.h.folders() {
		if run == keep {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.h.folder(), string(run))); err != nil {
			return err
		}
	}
	return nil
}

// broughtUp leaves a machine running.
func broughtUp(ctx context.Context, h *host, path string) (lab.RunID, error) {
	got := h.saigen(ctx, wholeTime, "up", "--driver", "container", path)
	if got.exit != 0 {
		return "", got.err()
	}
	return got.run, nil
}

// killedInTheFault leaves a run that was killed when its faults were in force.
func killedInTheFault(driver string) func(ctx context.Context, h *host, path string) (lab.RunID, error) {
	return func(ctx context.Context, h *host, path string) (lab.RunID, error) {
		v, err := h.killWhen(ctx, 0, func(l appearance) bool {
			return strings.Contains(l.text, `"type":"phase_started"`) && strings.Contains(l.text, `"phase":"fault"`)
		}, "run", "--driver", driver, path)
		if err != nil {
			return "", err
		}
		if !v.killed {
			return "", errors.New("the run ended before its faults were in force")
		}
		return v.run(), nil
	}
}

// noSnapshot removes the snapshots from the cache.
func noSnapshot(_ context.Context, h *host, _ string) (lab.RunID, error) {
	return "", os.RemoveAll(filepath.Join(h.cache, "saigen", image.KindSnapshot))
}
