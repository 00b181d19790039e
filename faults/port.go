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

// The protocols of a port.
const (
	TCP = "tcp"
	UDP = "udp"
)

// port is one port of a machine, on all its IPv4 addresses.
type port struct {
	protocol string // TCP or UDP
	number   int
}

func (p port) String() string {
	if p.protocol == UDP {
		return fmt.Sprintf("UDP port %d", p.number)
	}
	return fmt.Sprintf("port %d", p.number)
}

func (p port) unit() string { return fmt.Sprintf("saigen-port-%s-%d.service", p.protocol, p.number) }

// take has another process of the machine hold the port, as an account; empty: as root. systemd-socket-activate is in every
// Debian machine; it holds the socket itself, and so does what it starts when somebody connects or sends something.
func (p port) take(ctx context.Context, m lab.Running, account string) error {
	if err := stopUnit(ctx, m, p.unit()); err != nil {
		return err
	}
	if err := p.await(ctx, m, false); err != nil {
		return err
	}
	argv := []string{"systemd-run", "--quiet", "--collect", "--unit", p.unit()}
	if account != "" {
		argv = append(argv, "--uid", account)
	}
	argv = append(argv, "systemd-socket-activate", "-l", fmt.Sprintf("0.0.0.0:%d", p.number))
	if p.protocol == UDP {
		argv = append(argv, "--datagram")
	}
	if _, err := do(ctx, m, "", append(argv, "sleep", "infinity")...); err != nil {
		return err
	}
	return p.await(ctx, m, true)
}

// free ends the process that take started, and returns when the port can be had.
func (p port) free(ctx context.Context, m lab.Running) error {
	if err := stopUnit(ctx, m, p.unit()); err != nil {
		return err
	}
	return p.await(ctx, m, false)
}

func (p port) await(ctx context.Context, m lab.Running, taken bool) error {
	state := "free"
	if taken {
		state = "taken"
	}
	return await(ctx, portPatience, fmt.Sprintf("%s must be %s", p, state), func() (bool, error) {
		holders, err := p.holders(ctx, m)
		return len(holders) > 0 == taken, err
	})
}

// clear ends whoever holds the port, and says whether there was somebody.
func (p port) clear(ctx context.Context, m lab.Running) (bool, error) {
	holders, err := p.holders(ctx, m)
	if err != nil {
		return false, err
	}
	for _, inode := range holders {
		// Its code is not looked at: who ends by himself meanwhile is gone as well.
		if _, err := try(ctx, m, "", "sh", "-c", killOwners, "sh", inode); err != nil {
			return true, err
		}
	}
	return len(holders) > 0, p.await(ctx, m, false)
}

// killOwners is a shell script that kills the processes that have a socket open, by its inode.
const killOwners = `for fd in /proc/[0-9]*/fd/*; do
	if [ "$(readlink "$fd")" = "socket:[$1]" ]; then echo "$fd"; fi
done | cut -d/ -f3 | sort -u | xargs -r kill -KILL`

// holders are the inodes of the sockets that have the port.
func (p port) holders(ctx context.Context, m lab.Running) ([]string, error) {
	r, err := do(ctx, m, "", "cat", "/proc/net/"+p.protocol, "/proc/net/"+p.protocol+"6")
	return p.in(r.Stdout), err
}

// in reads /proc/net/tcp or /proc/net/udp: the inodes of the sockets that hold the port.
func (p port) in(table []byte) []string {
	const state, inode = 3, 9
	open := "0A" // listening
	if p.protocol == UDP {
		open = "07" // bound, and connected to nobody
	}
	var out []string
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) <= inode || f[state] != open {
			continue
		}
		_, hex, _ := strings.Cut(f[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == p.number {
			out = append(out, f[inode])
		}
	}
	return out
}

// refused says whether the machine refuses the port to somebody else, by binding it as a server would. perl-base, which is in every
// Debian machine, does it without SO_REUSEADDR: with it, two UDP sockets could have the same port.
func (p port) refused(ctx context.Context, m lab.Running) (bool, error) {
	argv := []string{"perl", "-MSocket", "-e", bindPort, p.protocol, strconv.Itoa(p.number)}
	r, err := try(ctx, m, "", argv...)
	if err == nil && r.Code != codeInUse {
		err = r.Err(lab.Command{Argv: argv})
	}
	return r.Code == codeInUse, err
}

const codeInUse = 98 // EADDRINUSE

const bindPort = `socket(my $s, PF_INET, $ARGV[0] eq "udp" ? SOCK_DGRAM : SOCK_STREAM, 0) or die "cannot make a socket: $!\n";
bind($s, sockaddr_in($ARGV[1], INADDR_ANY)) or exit($!{EADDRINUSE} ? 98 : die "cannot bind: $!\n");`
