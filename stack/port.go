package stack

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// busyPort says which of a service's ports podman found taken. Its words are the kernel's, after rootlessport's
// ("rootlessport listen tcp 0.0.0.0:4431: bind: address already in use") or pasta's ("Failed to bind port 4431").
func busyPort(why string, v lab.Service) (port int, busy bool) {
	if !strings.Contains(strings.ToLower(why), "address already in use") {
		return 0, false
	}
	for _, p := range v.Ports {
		if regexp.MustCompile(fmt.Sprintf(`(?:[:\]]|port )%d\b`, p)).MatchString(why) {
			return p, true
		}
	}
	return 0, false
}

// listens prints "account pid name" of a process that listens on port $1 of the machine, from /proc alone: images need not
// have any tool for it.
const listens = `
port=$(printf %04X "$1")
cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 2>/dev/null |
while read -r _ local _ state _ _ _ uid _ inode _; do
	case $local:$state in *:$port:0A | *:$port:07) ;; *) continue ;; esac
	for fd in $(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null); do
		pid=${fd#/proc/} pid=${pid%%/*}
		echo "$(id -un "$uid") $pid $(cat "/proc/$pid/comm")"
		exit
	done
done`

// holder says who listens on a port of the machine: a container, where podman's helper does so for it, or a process. Empty:
// that cannot be seen.
func holder(ctx context.Context, m lab.Running, port int) string {
	r, err := m.Run(ctx, lab.Command{Argv: []string{"sh", "-c", listens, "sh", strconv.Itoa(port)}})
	if err != nil {
		return ""
	}
	account, rest, _ := strings.Cut(strings.TrimSpace(string(r.Stdout)), " ")
	pid, name, ok := strings.Cut(rest, " ")
	if !ok {
		return ""
	}
	said := fmt.Sprintf("%q of account %s, process %s", name, account, pid)
	if name != "rootlessport" && !strings.HasPrefix(name, "pasta") {
		return said
	}
	r, err = m.Run(ctx, lab.Command{Argv: []string{"podman", "ps", "--format", "{{.Names}} {{.Ports}}"}, Account: account})
	for line := range strings.Lines(string(r.Stdout)) { // "proxy 0.0.0.0:4431->4430/tcp"
		if container, ports, _ := strings.Cut(line, " "); err == nil && strings.Contains(ports, fmt.Sprintf(":%d->", port)) {
			return fmt.Sprintf("container %q of account %s", container, account)
		}
	}
	return said
}
