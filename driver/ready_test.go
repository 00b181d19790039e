package driver

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

var errStopped = errors.New("the machine has stopped")

func console(text string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) { return text, ctx.Err() }
}

func TestRequirementThatDoesNotHold(t *testing.T) {
	unread := errors.New("there is no console")
	for _, c := range []struct {
		name    string
		why     error
		console func(context.Context) (string, error)
		tail    string
	}{
		{"it stopped", errStopped, console("Started.\n"), "Started.\n"},
		{"with words of its own", &lab.InfraError{What: "no image", Tail: "no space", Err: errStopped}, console("Started.\n"), "Started.\nno space"},
		{"with those alone", &lab.InfraError{What: "no image", Tail: "no space", Err: errStopped}, console(""), "no space"},
		{"with no console", errors.Join(errStopped, unread), func(context.Context) (string, error) { return "", unread }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := 0
			holds := func(context.Context) error { asked++; return nil }
			err := Await(t.Context(), time.Minute, "machine.server", []Requirement{
				{What: "the first", Wait: holds},
				{What: "the second", Hint: "look there", Wait: func(context.Context) error { return c.why }},
				{What: "the third", Wait: holds},
			}, c.console, slog.New(slog.DiscardHandler))
			var infra *lab.InfraError
			if !errors.As(err, &infra) || !errors.Is(err, errStopped) {
				t.Fatalf("the error is %v", err)
			}
			if infra.What != "cannot start machine.server: requirement 2 of 3 does not hold: the second" || infra.Hint != "look there" {
				t.Errorf("it says %q, %q", infra.What, infra.Hint)
			}
			if infra.Tail != c.tail {
				t.Errorf("the tail is %q", infra.Tail)
			}
			if asked != 1 {
				t.Errorf("%d requirements were asked after the one that failed", asked-1)
			}
		})
	}
}

func TestRequirementsHaveALimit(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	forever := []Requirement{{What: "never", Wait: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}}
	var infra *lab.InfraError
	if err := Await(t.Context(), time.Millisecond, "machine.server", forever, console("said\n"), log); !errors.As(err, &infra) || infra.Tail != "said\n" {
		t.Errorf("beyond the limit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Await(ctx, time.Minute, "machine.server", forever, console(""), log); !errors.Is(err, context.Canceled) || errors.As(err, &infra) {
		t.Errorf("cancelled: %v", err)
	}
}

// A machine with failed units is up, too; one that is on its way down, or says nothing, is not.
func TestBooted(t *testing.T) {
	for state, up := range map[string]bool{"running\n": true, "degraded\n": true, "stopping\n": false, "": false} {
		r := Booted("image", func(_ context.Context, cmd lab.Command) (lab.Result, error) {
			if cmd.Argv[0] != "systemctl" {
				t.Errorf("%q was run", cmd.Argv)
			}
			return lab.Result{Code: 1, Stdout: []byte(state)}, nil
		})
		if err := r.Wait(t.Context()); (err == nil) != up {
			t.Errorf("%q: %v", state, err)
		}
	}
}
