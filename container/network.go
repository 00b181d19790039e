package container

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"

	mobynetwork "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// network is the bridge between the machines of one lab. It has no way out and no name server: every machine has a
// fixed address and an /etc/hosts with all of them, so names hold before a machine is up and after it is gone.
// A lab with a single machine has no network at all, but the machine's own loopback.
type network struct {
	name   string
	subnet netip.Prefix
}

// subnetOf is the run's subnet. It lies in the range that RFC 2544 keeps for benchmarks, 198.18.0.0/15: it is used
// neither by podman's networks inside the machines (10.88/16, 10.89/16 and up) nor by slirp4netns (10.0.2.0/24), so it
// changes nothing there. Runs that share an engine get different ones, as far as 512 go.
func subnetOf(run lab.RunID, shared bool) netip.Prefix {
	n := uint16(0)
	if shared {
		h := fnv.New32a()
		_, _ = h.Write([]byte(run))
		n = uint16(h.Sum32() % 512)
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18 + byte(n>>8), byte(n), 0}), 24)
}

// address is the machine's address: the lab's first has .11.
func (n *network) address(l *lab.Lab, machine string) netip.Addr {
	a := n.subnet.Addr().As4()
	for i, m := range l.Machines {
		if m.Name == machine {
			a[3] = byte(11 + i)
		}
	}
	return netip.AddrFrom4(a)
}

// hosts are the lines for every machine's /etc/hosts, as "name:address".
func (n *network) hosts(l *lab.Lab) []string {
	var hosts []string
	for _, m := range l.Machines {
		hosts = append(hosts, m.Name+":"+n.address(l, m.Name).String())
	}
	return hosts
}

// maxMachines is how many addresses there are.
const maxMachines = 200

// networkFor makes the engine's network when it is first needed. nil: the lab needs none.
func (d *Driver) networkFor(ctx context.Context, r *run, e *engine, l *lab.Lab) (*network, error) {
	if len(l.Machines) < 2 {
		return nil, nil
	}
	if len(l.Machines) > maxMachines {
		return nil, fmt.Errorf("a lab can have %d machines at most, not %d", maxMachines, len(l.Machines))
	}
	r.start.Lock()
	defer r.start.Unlock()
	if e.net != nil {
		return e.net, nil
	}
	n := &network{name: "saigen-" + string(r.ID), subnet: subnetOf(r.ID, d.o.Engine != "")}
	if d.o.Engine != "" {
		if err := r.Ledger.Record(ledger.Entry{Kind: KindNetwork, Path: n.name, Host: d.o.Engine}); err != nil {
			return nil, err
		}
	}
	// Not cancelled half-way: the engine would go on, and nobody would know.
	_, err := e.api.NetworkCreate(context.WithoutCancel(ctx), n.name, client.NetworkCreateOptions{
		Driver:   "bridge",
		Internal: true,
		IPAM:     &mobynetwork.IPAM{Config: []mobynetwork.IPAMConfig{{Subnet: n.subnet}}},
		Labels:   map[string]string{labelRun: string(r.ID)},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot make the machines' network: %w", err)
	}
	e.net = n
	return n, nil
}
