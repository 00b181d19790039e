package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/runner"
)

// How long saigen may take to end after the first ^C, and after the second: it heals and destroys, or it does not.
const (
	gentleTime = 60 * time.Second
	atOnce     = time.Second
)

// pressed is how long after the first ^C somebody presses the second one.
const pressed = 50 * time.Millisecond

// interrupts tells saigen to stop, in every way and everywhere.
func interrupts(ctx context.Context, h *host) (figures, error) {
	path, err := h.lab(deathLab)
	if err != nil {
		return nil, err
	}
	return h.disasters(ctx, path, interruptions(path))
}

// interruptions is the table.
func interruptions(path string) (all []disaster) {
	everywhere := append(moments(),
		moment{"the baseline", []string{`"type":"phase_started"`, `"arm":"fault"`, `"phase":"baseline"`}, runner.Fault},
		moment{"the remedy", []string{`"type":"phase_started"`, `"arm":"fault"`, `"phase":"remedy take_typo_back"`}, runner.Fault},
	)
	some := map[string]bool{"the boot": true, "the fault": true}
	for _, m := range everywhere {
		all = append(all, once("^C in a run", "container", m, syscall.SIGINT), twice("^C twice in a run", "container", m))
		if some[m.name] {
			all = append(all,
				once("SIGTERM in a run", "container", m, syscall.SIGTERM), once("the terminal is closed in a run", "container", m, syscall.SIGHUP, syscall.SIGHUP),
				unread("nobody reads what a run prints", "container", m),
				inUp(once("^C in up", "container", m, syscall.SIGINT)), inUp(twice("^C twice in up", "container", m)))
		}
		if some[m.name] || m.name == "the soak" {
			all = append(all, once("^C in a run", "qemu", m, syscall.SIGINT), twice("^C twice in a run", "qemu", m))
		}
	}
	building := moment{"the import of an image", []string{"importing image"}, runner.Fault}
	for _, d := range []disaster{once("^C while an image store is made", "container", building, syscall.SIGINT), twice("^C twice while an image store is made", "container", building)} {
		d.prepare, d.saves = withoutStores, true
		all = append(all, d)
	}
	for _, verb := range []string{"down", "gc"} {
		for _, after := range []time.Duration{30 * time.Millisecond, 120 * time.Millisecond} {
			m := moment{name: after.String()}
			for _, d := range []disaster{once("^C in "+verb, "container", m, syscall.SIGINT), twice("^C twice in "+verb, "container", m)} {
				d.args, d.after, d.removes = []string{verb}, after, true
				d.prepare = afterwards(verb, path)
				all = append(all, d)
			}
		}
	}
	return all
}

// once sends signals at once; saigen must heal, destroy and leave nothing.
func once(name, driver string, m moment, signals ...syscall.Signal) disaster {
	return disaster{
		name: name, driver: driver, moment: m, judge: ended(gentleTime, ""),
		strike: func(_ context.Context, _ *host, p *process) (func() error, error) {
			for _, s := range signals {
				if err := p.cmd.Process.Signal(s); err != nil {
					return nil, ignoreDone(err)
				}
			}
			return nil, nil
		},
	}
}

// twice presses ^C twice; saigen must end at once, say what is left, and gc must remove it.
func twice(name, driver string, m moment) disaster {
	return disaster{
		name: name, driver: driver, moment: m, leaves: true, next: true, judge: ended(atOnce+pressed, "saigen gc"),
		strike: func(ctx context.Context, _ *host, p *process) (func() error, error) {
			if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
				return nil, ignoreDone(err)
			}
			select {
			case <-p.ended:
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(pressed):
			}
			return nil, ignoreDone(p.cmd.Process.Signal(syscall.SIGINT))
		},
	}
}

// unread closes the pipe that saigen prints to.
func unread(name, driver string, m moment) disaster {
	var r *os.File
	return disaster{
		name: name, driver: driver, moment: m, args: []string{"run", "--verbose"}, judge: ended(gentleTime, ""),
		start: func(h *host, args ...string) (*process, error) {
			read, write, err := os.Pipe()
			if err != nil {
				return nil, err
			}
			defer write.Close()
			r = read
			go func() { _, _ = io.Copy(io.Discard, read) }()
			return h.startTo(write, args...)
		},
		strike: func(context.Context, *host, *process) (func() error, error) { return nil, r.Close() },
	}
}

// startTo starts saigen, which prints to a file.
func (h *host) startTo(out *os.File, args ...string) (*process, error) {
	p := &process{h: h, args: args, cmd: h.command(args...), there: h.folders(), ended: make(chan struct{}), began: time.Now()}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start saigen: %w", err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	return p, nil
}

func inUp(d disaster) disaster {
	d.args = []string{"up"}
	return d
}

// ended demands exit code 130 in time, and a word where saigen had to be stopped by force. What ended by itself in the moment before is
// as it would have been.
func ended(within time.Duration, word string) func(h *host, got said, struck time.Time) (string, string) {
	return func(h *host, got said, struck time.Time) (string, string) {
		took := time.Since(struck)
		switch {
		case got.exit == runner.ExitExpected && len(h.outcomes(got.run)) > 0 && h.right(got.run) == nil:
			return "it had ended before", ""
		case got.exit == -1 && got.out+got.stderr == "":
			return "ended before it had begun to listen", "" // by the signal itself: a shell says 130
		case got.exit != runner.ExitInterrupted:
			return fmt.Sprintf("exit code %d", got.exit), got.line()
		case took > within:
			return "exit code 130, too late", fmt.Sprintf("it took %.1f s: %s", took.Seconds(), got.line())
		case word != "" && strings.Contains(got.stderr, "stopped at once") && !strings.Contains(got.stderr, word):
			return "exit code 130", "it does not say what to do: " + got.line()
		case word != "" && !strings.Contains(got.stderr, "stopped at once"):
			return "exit code 130, before the second ^C", ""
		}
		return "exit code 130", ""
	}
}

func ignoreDone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// withoutStores has the next run make the image stores again.
func withoutStores(_ context.Context, h *host) (*host, func() error, error) {
	return nil, func() error { return nil }, os.RemoveAll(filepath.Join(h.cache, "saigen", image.KindStore))
}

// afterwards makes what down or gc then remove.
func afterwards(verb, path string) func(ctx context.Context, h *host) (*host, func() error, error) {
	return func(ctx context.Context, h *host) (*host, func() error, error) {
		make := broughtUp
		if verb == "gc" {
			make = killedInTheFault("container")
		}
		_, err := make(ctx, h, path)
		return nil, func() error {
			if got := h.saigen(context.WithoutCancel(ctx), cleanTime, "down", "--all"); got.exit != 0 {
				return got.err()
			}
			return nil
		}, err
	}
}
