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

// clearPort ends whoever listens on a port, and says whether there was somebody.
func clearPort(ctx context.Context, m lab.Running, port int) (bool, error) {
	r, err := do(ctx, m, "", "cat", "/proc/net/tcp", "/proc/net/tcp6")
	if err != nil {
		return false, err
	}
	inodes := listeners(r.Stdout, port)
	for _, inode := range inodes {
		// Its code is not looked at: who ends by himself meanwhile is gone as well.
		if _, err := try(ctx, m, "", "sh", "-c", killOwners, "sh", inode); err != nil {
			return true, err
		}
	}
	return len(inodes) > 0, awaitPort(ctx, m, port, false)
}

// killOwners is a shell script that kills the processes that have a socket open, by its inode.
const killOwners = `for fd in /proc/[0-9]*/fd/*; do
	if [ "$(readlink "$fd")" = "socket:[$1]" ]; then echo "$fd"; fi
done | cut -d/ -f3 | sort -u | xargs -r kill -KILL`

func listens(table []byte, port int) bool { return len(listeners(table, port)) > 0 }

// listeners reads /proc/net/tcp: the inodes of the sockets that listen on the port.
func listeners(table []byte, port int) []string {
	const state, listen, inode = 3, "0A", 9
	var out []string
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) <= inode || f[state] != listen {
			continue
		}
		_, hex, _ := strings.Cut(f[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
			out = append(out, f[inode])
		}
	}
	return out
}
