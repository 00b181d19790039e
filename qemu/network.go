package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// network is the segment between the machines of one lab. It has no way out and no name server: every machine has a
// fixed address and an /etc/hosts with all of them. Frames go through unix sockets in the run's runtime folder, to which
// nobody else has access, and through a QEMU without a machine that repeats each for all the others: no link, no
// address, no port of the host is used. A lab with a single machine has no network but its own loopback.
type network struct {
	folder string // its runtime folder, beside those of the machines
	hub    *process
}

// The machines' addresses are those that the container driver gives: 198.18.0.0/24 of the range that RFC 2544 keeps for
// benchmarks, which neither podman's networks inside the machines nor slirp4netns use. The lab's first machine has .11.
const (
	subnet       = "198.18.0."
	prefixLength = 24
	firstAddress = 11
	maxMachines  = 200
)

func addressOf(number int) string { return fmt.Sprintf("%s%d", subnet, firstAddress+number) }

// macOf is a machine's address on the segment, of those that are given out locally.
func macOf(number int) string { return fmt.Sprintf("52:54:00:12:00:%02x", firstAddress+number) }

// The two ends of a machine's cable: in its own runtime folder, and in the network's.
const machineEnd = "network.sock"

func networkEnd(number int) string { return fmt.Sprintf("%d.sock", number) }

// numberOf is the machine's place in the lab.
func numberOf(l *lab.Lab, name string) int {
	for i, m := range l.Machines {
		if m.Name == name {
			return i
		}
	}
	return -1
}

// networkFor makes the network of a run's lab when it is first needed. nil: the lab needs none.
func (d *Driver) networkFor(ctx context.Context, r *run, l *lab.Lab) (*network, error) {
	if len(l.Machines) < 2 {
		return nil, nil
	}
	if len(l.Machines) > maxMachines {
		return nil, fmt.Errorf("a lab can have %d machines at most, not %d", maxMachines, len(l.Machines))
	}
	var names []string
	for _, m := range l.Machines {
		names = append(names, m.Name)
	}
	key := strings.Join(names, " ")
	r.start.Lock()
	defer r.start.Unlock()
	if n := r.networks[key]; n != nil {
		return n, nil
	}
	n := &network{folder: filepath.Join(r.Sock, fmt.Sprintf(".network-%d", len(r.networks)+1))} // no machine's name
	if err := os.MkdirAll(n.folder, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the machines' network: %w", err)
	}
	var err error
	log := filepath.Join(n.folder, qemuLog)
	if n.hub, err = startProcess(ctx, r.Ledger, n.folder, log, hubArguments(names)); err != nil {
		said := tailOf(log)
		return nil, errors.Join(&lab.InfraError{What: "cannot make the machines' network", Tail: said, Err: err}, os.RemoveAll(n.folder))
	}
	r.networks[key] = n
	return n, nil
}

// hubArguments are for a QEMU that is no machine: it joins the machines' cables.
func hubArguments(machines []string) []string {
	args := []string{"-name", "saigen network", "-machine", "none"}
	for i, name := range machines {
		cable := fmt.Sprintf("cable.%d", i)
		args = append(args,
			"-netdev", object("type", "dgram", "id", cable,
				"local", unixAddress(networkEnd(i)), "remote", unixAddress("../"+name+"/"+machineEnd)),
			"-netdev", object("type", "hubport", "id", fmt.Sprintf("port.%d", i), "hubid", 0, "netdev", cable))
	}
	return args
}

// hosts is the machine's /etc/hosts: what podman writes for a container.
func hosts(l *lab.Lab, name string) string {
	var b strings.Builder
	if len(l.Machines) > 1 {
		for i, m := range l.Machines {
			fmt.Fprintf(&b, "%s\t%s\n", addressOf(i), m.Name)
		}
	}
	b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost\n")
	if len(l.Machines) < 2 {
		fmt.Fprintf(&b, "127.0.0.1\t%s\n", name)
	}
	return b.String()
}

// resolvConf is the same with every driver.
const resolvConf = "# saigen: no network leads out of this machine, so no name server answers\n"
