package container

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/saigen-lab/saigen/lab"
)

// withConsole is a machine whose engine knows nothing but the console.
func withConsole(t *testing.T, text string) *machine {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/containers/m/logs") {
			_, _ = w.Write([]byte(text))
			return
		}
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(s.Close)
	api, err := client.New(client.WithHost("tcp://" + s.Listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	return &machine{ref: "machine.server", name: "m", api: api}
}

func TestRequirementThatDoesNotHold(t *testing.T) {
	m := withConsole(t, "\x1b[0;32m  OK  \x1b[0m Started.\r\n")
	asked := 0
	holds := func(context.Context) error { asked++; return nil }
	err := m.await(t.Context(), time.Second, []requirement{
		{what: "the first", wait: holds},
		{what: "the second", hint: "look there", wait: func(context.Context) error { return errStopped }},
		{what: "the third", wait: holds},
	}, slog.New(slog.DiscardHandler))
	var infra *lab.InfraError
	if !errors.As(err, &infra) || !errors.Is(err, errStopped) {
		t.Fatalf("the error is %v", err)
	}
	if infra.What != "cannot start machine.server: requirement 2 of 3 does not hold: the second" || infra.Hint != "look there" {
		t.Errorf("it says %q, %q", infra.What, infra.Hint)
	}
	if infra.Tail != "  OK   Started.\n" {
		t.Errorf("the tail is %q", infra.Tail)
	}
	if asked != 1 {
		t.Errorf("%d requirements were asked after the one that failed", asked-1)
	}
}

func TestRequirementsHaveALimit(t *testing.T) {
	m := withConsole(t, "")
	forever := []requirement{{what: "never", wait: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}}
	var infra *lab.InfraError
	if err := m.await(t.Context(), time.Millisecond, forever, slog.New(slog.DiscardHandler)); !errors.As(err, &infra) {
		t.Errorf("beyond the limit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.await(ctx, time.Minute, forever, slog.New(slog.DiscardHandler)); !errors.Is(err, context.Canceled) || errors.As(err, &infra) {
		t.Errorf("cancelled: %v", err)
	}
}
