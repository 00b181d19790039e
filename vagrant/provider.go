package vagrant

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/saigen-lab/saigen/lab"
)

// provider is what the driver does for one of Vagrant's providers beyond what Vagrant does for all. A provider that is not
// known here is used all the same, as anyProvider.
type provider interface {
	// open makes what the environment needs before its machines, and fills in what it needs to know of it. All of it carries
	// the environment's name. boots are the machines that start from a kernel of their own.
	open(ctx context.Context, e *environment, boots map[string]boot) error
	// settings are the statements about `v`, the provider's settings, that every machine of the environment starts with.
	settings(e *environment) []string
	// machine are the statements about `m`, the machine, and about its provider's settings `v`.
	machine(e *environment, i int, spec lab.Machine) (m, v []string)
	// stop ends a machine at once and keeps its disks.
	stop(ctx context.Context, e *environment, machine string) error
	// remove removes what Vagrant may have left of one machine, and close of the whole environment and what open made. Both
	// verify it, and accept that there is nothing.
	remove(ctx context.Context, e *environment, machine string) error
	close(ctx context.Context, e *environment) error
	// findsAll says whether close finds what saigen's own Vagrantfile had Vagrant make, without Vagrant's help.
	findsAll() bool
	// hasSnapshots says whether Vagrant can save the machines of this provider and bring them back.
	hasSnapshots(ctx context.Context, e *environment) bool
}

// boot is what a machine of saigen's own box starts from: a kernel, since the box has no boot loader, and disks that the
// kernel's initial RAM disk mounts where it finds them.
type boot struct {
	Kernel, Initrd string // files
	Arguments      string
	Agent          string // the disk with saigen's agent, a file
	Services       string // the disk with the services' images; empty: none
}

// providerNamed finds what is known of a provider.
func providerNamed(name string) provider {
	switch name {
	case "libvirt":
		return libvirt{}
	default:
		return anyProvider{name}
	}
}

// Sizes of machines whose lab says nothing about them.
const (
	defaultMemory = 1 << 30 // bytes
	defaultCPUs   = 2
)

// memory is in MiB.
func memory(m lab.Machine) int64 {
	if n := m.Memory.Bytes(); n > 0 {
		return n >> 20
	}
	return defaultMemory >> 20
}

// Processors implements lab.Hypervisor.
func (d *Driver) Processors(m lab.Machine) int { return cpus(m) }

func cpus(m lab.Machine) int {
	if m.CPUs > 0 {
		return m.CPUs
	}
	return defaultCPUs
}

// anyProvider uses only what Vagrant itself and most providers understand.
type anyProvider struct{ name string }

func (anyProvider) open(_ context.Context, e *environment, boots map[string]boot) error {
	if len(boots) > 0 {
		return fmt.Errorf("saigen's own boxes are for Vagrant's provider libvirt; give the lab a box for %q, or a Vagrantfile", e.Provider)
	}
	e.Subnet = netip.MustParsePrefix("198.18.0.0/24") // of an internal network: nobody else sees it
	return nil
}

func (anyProvider) settings(*environment) []string { return nil }

func (p anyProvider) machine(e *environment, i int, spec lab.Machine) (m, v []string) {
	if len(e.Machines) > 1 {
		m = append(m, fmt.Sprintf("m.vm.network %s, ip: %s, virtualbox__intnet: %s",
			ruby("private_network"), ruby(e.address(i).String()), ruby(e.Name)))
	}
	v = append(v,
		fmt.Sprintf("v.memory = %d if v.respond_to?(:memory=)", memory(spec)),
		fmt.Sprintf("v.cpus = %d if v.respond_to?(:cpus=)", cpus(spec)),
	)
	return m, v
}

func (anyProvider) stop(ctx context.Context, e *environment, machine string) error {
	_, err := e.vagrant(ctx, "halt", "--force", machine)
	return err
}

// remove can only ask Vagrant, which was asked before.
func (anyProvider) remove(ctx context.Context, e *environment, machine string) error {
	return e.gone(ctx, machine)
}

func (anyProvider) close(ctx context.Context, e *environment) error {
	for _, m := range e.Machines {
		if err := e.gone(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (anyProvider) findsAll() bool { return false }

// hasSnapshots asks for the list of them, which is an error where there can be none.
func (anyProvider) hasSnapshots(ctx context.Context, e *environment) bool {
	_, err := e.vagrant(ctx, "snapshot", "list", e.Machines[0])
	return err == nil
}
