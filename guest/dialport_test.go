package guest

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// TestDialPort: each connection has a port of its own, a closed one is free again, and there are only so many.
func TestDialPort(t *testing.T) {
	dir := t.TempDir()
	a := newAgent(nil, quiet())
	for n := range Ports {
		l, err := net.Listen("unix", PortSocket(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		go func() { // as QEMU: one at a time
			_ = accept(t.Context(), l, func(conn net.Conn) { _ = a.serve(t.Context(), conn) })
		}()
	}
	var all []*Client
	for range Ports {
		c, err := DialPort(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, c)
		all = append(all, c)
	}
	_, err := DialPort(t.Context(), dir)
	var infra *lab.InfraError
	if !errors.As(err, &infra) || infra.Hint == "" || !errors.Is(err, errPortsBusy) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("got %v", err)
	}
	_ = all[2].Close()
	if all[2], err = DialPort(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		echo(t, c)
		_ = c.Close()
	}
}

func TestDialPortGivesUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := DialPort(ctx, t.TempDir())
	var infra *lab.InfraError
	if !errors.As(err, &infra) || !errors.Is(err, context.DeadlineExceeded) || infra.Hint == "" {
		t.Errorf("got %v", err)
	}
}
