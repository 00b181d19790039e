package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// disaster is something that goes wrong at a moment of what saigen does.
type disaster struct {
	name   string
	driver string
	args   []string // of saigen, before the driver and the lab; none: run
	moment moment   // without words: before it starts
	// prepare makes what the disaster needs, and returns the host as saigen sees it then; nil: it sees what it always does.
	prepare func(ctx context.Context, h *host) (*host, func() error, error)
	// strike does it, and returns what ends it; nil: nothing has to.
	strike func(ctx context.Context, h *host, p *process) (end func() error, err error)
	// judge says what became of saigen, and what was wrong with it; empty: nothing.
	judge func(h *host, got said, struck time.Time) (outcome, complaint string)
	// after is when it happens where no line of a run tells: a time after the start.
	after time.Duration
	// start starts saigen in another way; nil: in the usual one.
	start func(h *host, args ...string) (*process, error)
	// leaves says that saigen may leave what gc then removes.
	leaves bool
	// removes says that what saigen was about to remove may be there yet, for the next one to remove.
	removes bool
	// saves says that entries of the cache may be made meanwhile.
	saves bool
	// next is whether a whole run must give the right verdict afterwards, on the same host.
	next bool
}

// disasters lets everything go wrong, one after the other, each in its tally. Points of the same tally have the name before the comma.
func (h *host) disasters(ctx context.Context, path string, all []disaster) (f figures, err error) {
	if why := lacks("qemu-system-x86_64", "qemu-img")(); why != "" {
		h.say("only on container: %s", why)
		all = slices.DeleteFunc(all, func(d disaster) bool { return d.driver == "qemu" })
	}
	if h.points < enough { // a short form: evenly of all
		n := max(1, (len(all)*h.points+enough-1)/enough)
		var some []disaster
		for i := range n {
			some = append(some, all[i*len(all)/n])
		}
		all = some
	}
	var provided []string
	tallies := map[string]*tally{}
	for _, d := range all {
		if h.at != "" && h.at != d.title()+" at "+d.moment.name {
			continue
		}
		if !slices.Contains(provided, d.driver) {
			if err := h.ready(ctx, path, d.driver); err != nil {
				return f, err
			}
			provided = append(provided, d.driver)
		}
		t := tallies[d.title()]
		if t == nil {
			t = &tally{What: d.title()}
			tallies[d.title()] = t
			f = append(f, t)
		}
		if err := d.happens(ctx, h, t, path); err != nil {
			return f, fmt.Errorf("%s at %s: %w", d.name, d.moment.name, err)
		}
	}
	for _, t := range f {
		if t.Points == 0 {
			return f, fmt.Errorf("%s: nothing went wrong at any moment", t.What)
		}
	}
	if len(f) == 0 {
		return f, fmt.Errorf("there is no target %q", h.at)
	}
	return f, nil
}

// ready has the cache hold what a lab needs on a driver, with its snapshot on qemu. A host that is too busy is asked again.
func (h *host) ready(ctx context.Context, path, driver string) (err error) {
	for range patience {
		if err = h.provide(ctx, path, driver); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	_, err = h.patiently(ctx, &tally{}, "--driver", driver, path)
	return err
}

// title is what it counts as.
func (d disaster) title() string { return d.name + ", " + d.driver }

// happens lets it happen once, and looks at what saigen makes of it.
func (d disaster) happens(ctx context.Context, h *host, t *tally, path string) (err error) {
	on := h
	if d.prepare != nil {
		one, end, err := d.prepare(ctx, h)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
		if one != nil {
			on = one
		}
	}
	sealed, err := h.seal()
	if err != nil {
		return err
	}
	got, struck, end, err := d.struck(ctx, on, path)
	if err != nil {
		return err
	}
	if struck.IsZero() {
		h.say("%s at %s: it had ended before", d.name, d.moment.name)
		t.came("had ended before")
	} else {
		t.Points++
		outcome, complaint := d.judge(on, got, struck)
		t.came(outcome)
		h.say("%s at %s: %s, after %.1f s", d.name, d.moment.name, outcome, time.Since(struck).Seconds())
		if complaint != "" {
			t.failed(d.moment.name, wrong, complaint)
			h.say("%s", complaint)
		}
	}
	if err := d.clean(ctx, on, t, got); err != nil {
		return err
	}
	if end != nil {
		if err := end(); err != nil {
			return err
		}
	}
	if d.next {
		if _, err := on.patiently(ctx, t, "--driver", d.driver, path); err != nil {
			t.failed(d.moment.name, wrong, "the next run: "+err.Error())
			h.say("the next run: %v", err)
		}
	}
	bad, err := sealed.broken(false)
	t.failed(d.moment.name, damaged, bad...)
	if more, looked := sealed.more(); looked != nil || !d.saves && len(more) > 0 {
		err = errors.Join(err, looked)
		t.failed(d.moment.name, leak, more...)
	}
	return errors.Join(err, ctx.Err())
}

// struck starts saigen, lets it happen at its moment, and waits for the end. A time that is zero says that the moment never came.
func (d disaster) struck(ctx context.Context, h *host, path string) (got said, at time.Time, end func() error, err error) {
	args := d.args
	if len(args) == 0 {
		args = []string{"run"}
	}
	if args[0] == "run" || args[0] == "up" {
		args = append(slices.Clone(args), "--driver", d.driver, path)
	}
	if len(d.moment.words) == 0 && d.after == 0 {
		at = time.Now()
		if d.strike != nil {
			if end, err = d.strike(ctx, h, nil); err != nil {
				return got, at, end, err
			}
		}
		return h.saigen(ctx, wholeTime, args...), at, end, ctx.Err()
	}
	w, err := h.watch()
	if err != nil {
		return got, at, nil, err
	}
	defer w.close()
	start := d.start
	if start == nil {
		start = (*host).start
	}
	p, err := start(h, args...)
	if err != nil {
		return got, at, nil, err
	}
	var now <-chan time.Time
	if d.after > 0 {
		timer := time.NewTimer(d.after)
		defer timer.Stop()
		now = timer.C
	}
	for at.IsZero() {
		select {
		case <-now:
			at = time.Now()
			if end, err = d.strike(ctx, h, p); err != nil {
				p.stop()
				return got, at, end, err
			}
		case l, ok := <-w.lines:
			if !ok {
				p.stop()
				return got, at, nil, fmt.Errorf("cannot watch the runs: %w", w.err)
			}
			if len(d.moment.words) == 0 || !d.moment.is(l) {
				continue
			}
			at = time.Now()
			go func() { // nobody else reads them now
				for range w.lines {
				}
			}()
			if end, err = d.strike(ctx, h, p); err != nil {
				p.stop()
				return got, at, end, err
			}
		case <-p.ended:
			return p.wait(ctx, 0), at, nil, nil
		case <-ctx.Done():
			p.stop()
			return got, at, nil, ctx.Err()
		}
	}
	return p.wait(ctx, bearable), at, end, ctx.Err()
}

// clean has gc remove what saigen may leave, where it may leave anything, and notes what it should not have left.
func (d disaster) clean(ctx context.Context, h *host, t *tally, got said) error {
	if d.leaves {
		took, err := h.gc(ctx)
		if err != nil {
			return err
		}
		t.took(took)
	}
	if d.removes {
		if err := h.remove(ctx); err != nil {
			return err
		}
	}
	if left, err := h.left(ctx, got.run); err != nil {
		return err
	} else if len(left) > 0 {
		h.say("left: %s", short(left))
		t.failed(d.moment.name, leak, left...)
	} else {
		return nil
	}
	if err := h.remove(ctx); err != nil {
		return err
	}
	return h.remember()
}

// remove removes every run that there is, dead and up.
func (h *host) remove(ctx context.Context) error {
	for _, args := range [][]string{{"gc"}, {"down", "--all"}} {
		if got := h.saigen(ctx, cleanTime, args...); got.exit != 0 {
			return got.err()
		}
	}
	return nil
}

// poor judges a saigen whose host was too poor: it says so with all of these words, and gives no verdict, or the right one.
func poor(words ...string) func(h *host, got said, _ time.Time) (string, string) {
	return func(h *host, got said, _ time.Time) (string, string) {
		switch got.exit {
		case runner.ExitExpected:
			if err := h.right(got.run); err != nil {
				return "a wrong verdict", err.Error()
			}
			return "the right verdict", ""
		case runner.ExitInconclusive:
			if err := h.noVerdict(got.run); err != nil {
				return "a wrong verdict", err.Error()
			}
			for _, w := range words {
				if !contains(got, w) {
					return "inconclusive", fmt.Sprintf("it does not say %q: %s", w, got.line())
				}
			}
			return "inconclusive", ""
		}
		return fmt.Sprintf("exit code %d", got.exit), got.line()
	}
}

// noVerdict demands that no trial of a run got a verdict that says anything of the lab, but the right one.
func (h *host) noVerdict(run lab.RunID) error {
	for _, o := range h.outcomes(run) {
		if o.Verdict != lab.Inconclusive && o.Verdict != lab.Reproduced {
			return fmt.Errorf("run %s: the verdict is %s: %s", run, o.Verdict, o.Because)
		}
	}
	return nil
}
