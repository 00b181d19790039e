package main

import (
	"context"
	"fmt"
	"time"
)

// point is when saigen is killed: when a line has appeared, or at a time.
type point struct {
	word string // "ledger" or "events"; empty: a time
	n    int    // which line
	part float64
	in   time.Duration // after the start: part of the whole, or when the line appeared in the profile; 0: not known
}

// String is how failures name it, and what -at takes.
func (p point) String() string {
	if p.word != "" {
		return fmt.Sprintf("%s %d", p.word, p.n)
	}
	return fmt.Sprintf("%.1f%%", 100*p.part)
}

// earlier is a time that comes at half of what a point took, for one that came too late; false: there is none.
func (p point) earlier() (point, bool) {
	if p.in < 2*time.Millisecond {
		return point{}, false
	}
	return point{part: p.part / 2, in: p.in / 2}, true
}

// profile is a command that ran to its end.
type profile struct {
	began time.Time
	lines []appearance
	took  time.Duration
}

// profiled runs a command to its end and notes what appears meanwhile.
func (h *host) profiled(ctx context.Context, args ...string) (*profile, said, error) {
	w, err := h.watch()
	if err != nil {
		return nil, said{}, err
	}
	defer w.close()
	p, err := h.start(args...)
	if err != nil {
		return nil, said{}, err
	}
	got := &profile{began: p.began}
	for {
		select {
		case l, ok := <-w.lines:
			if !ok {
				p.stop()
				return nil, said{}, fmt.Errorf("cannot watch the runs: %w", w.err)
			}
			got.lines = append(got.lines, l)
		case <-p.ended:
			end := p.wait(ctx, wholeTime)
			got.took = end.took
			for late := time.After(50 * time.Millisecond); ; {
				select {
				case l, ok := <-w.lines:
					if ok {
						got.lines = append(got.lines, l)
						continue
					}
				case <-late:
				}
				return got, end, nil
			}
		case <-ctx.Done():
			p.stop()
			return nil, said{}, ctx.Err()
		}
	}
}

// points chooses n: of the lines all that there is room for in two thirds of n, evenly, and times for the rest; a single point is the middle.
func (p *profile) points(n int) []point {
	lines := min(len(p.lines), 2*n/3)
	var all []point
	for i := range lines {
		l := p.lines[i*len(p.lines)/lines]
		all = append(all, p.line(l))
	}
	times := n - len(all)
	for i := range times {
		part := (float64(i) + 0.5) / float64(times)
		all = append(all, point{part: part, in: time.Duration(part * float64(p.took))})
	}
	return all
}

// line is the point at which a line appeared.
func (p *profile) line(l appearance) point {
	in := l.at.Sub(p.began)
	return point{word: l.word, n: l.n, part: float64(in) / float64(p.took), in: in}
}

// point is the one of that name.
func (p *profile) point(name string) (at point, err error) {
	if _, err := fmt.Sscanf(name, "%f%%", &at.part); err == nil {
		at.part /= 100
		at.in = time.Duration(at.part * float64(p.took))
		return at, nil
	}
	if _, err := fmt.Sscanf(name, "%s %d", &at.word, &at.n); err != nil || at.String() != name {
		return at, fmt.Errorf("there is no point %q: a point is such as \"ledger 7\" or \"35.5%%\"", name)
	}
	return at, nil
}

// victim is a saigen that was to be killed.
type victim struct {
	*process
	killed bool   // it had not ended by itself before
	line   string // the one at which it was killed
}

// kill starts saigen, and kills it at a point. Where the point does not come this time, it ends by itself.
func (h *host) kill(ctx context.Context, p point, args ...string) (*victim, error) {
	if p.word == "" {
		return h.killWhen(ctx, p.in, func(appearance) bool { return false }, args...)
	}
	return h.killWhen(ctx, 0, func(l appearance) bool { return l.word == p.word && l.n == p.n }, args...)
}

// killWhen starts saigen, and kills it when a line appears, or after a time that is not 0.
func (h *host) killWhen(ctx context.Context, after time.Duration, when func(appearance) bool, args ...string) (*victim, error) {
	w, err := h.watch()
	if err != nil {
		return nil, err
	}
	defer w.close()
	process, err := h.start(args...)
	if err != nil {
		return nil, err
	}
	v := &victim{process: process}
	var now <-chan time.Time
	if after > 0 {
		timer := time.NewTimer(after)
		defer timer.Stop()
		now = timer.C
	}
	for reached := false; !reached; {
		select {
		case l, ok := <-w.lines:
			if !ok {
				process.stop()
				return nil, fmt.Errorf("cannot watch the runs: %w", w.err)
			}
			if reached = when(l); reached {
				process.kill()
				v.line = l.text
			}
		case <-now:
			process.kill()
			reached = true
		case <-process.ended:
			return v, nil
		case <-ctx.Done():
			process.stop()
			return nil, ctx.Err()
		}
	}
	v.killed = !process.cmd.ProcessState.Exited() // in the moment before
	return v, nil
}
