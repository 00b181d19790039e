package faults

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// portPatience is how long a port may take to become free, or to be taken.
const portPatience = 20 * time.Second

func portUnit(port int) string { return fmt.Sprintf("saigen-port-%d.service", port) }

// takePort has another process of the machine listen on a port. systemd-socket-activate is in every Debian machine; it
// holds the listening socket itself, and so does what it starts at the first connection.
func takePort(ctx context.Context, m lab.Running, port int) error {
	if err := awaitPort(ctx, m, port, false); err != nil {
		return err
	}
	if err := stopUnit(ctx, m, portUnit(port)); err != nil {
		return err
	}
	_, err := do(ctx, m, "", "systemd-run", "--quiet", "--collect", "--unit", portUnit(port),
		"systemd-socket-activate", "-l", fmt.Sprintf("0.0.0.0:%d", port), "sleep", "infinity")
	if err != nil {
		return err
	}
	return awaitPort(ctx, m, port, true)
}

func freePort(ctx context.Context, m lab.Running, port int) error {
	if err := stopUnit(ctx, m, portUnit(port)); err != nil {
		return err
	}
	return awaitPort(ctx, m, port, false)
}

func awaitPort(ctx context.Context, m lab.Running, port int, taken bool) error {
	state := "free"
	if taken {
		state = "taken"
	}
	return await(ctx, portPatience, fmt.Sprintf("port %d must be %s", port, state), func() (bool, error) {
		r, err := do(ctx, m, "", "cat", "/proc/net/tcp", "/proc/net/tcp6")
		return listens(r.Stdout, port) == taken, err
	})
}

// listens reads /proc/net/tcp: whether a socket listens on the port.
func listens(table []byte, port int) bool {
	const listen = "0A"
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 4 || f[3] != listen {
			continue
		}
		_, hex, _ := strings.Cut(f[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
			return true
		}
	}
	return false
}
