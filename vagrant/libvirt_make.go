package vagrant

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// What the provider libvirt makes with virsh: the environment's storage pool, and its network.

// poolDir is where the environment's disks are: below a folder that libvirt's QEMU may look into, which a user's home is not.
func poolDir(e *environment) string { return path.Join("/var/lib/libvirt/images", e.Name) }

func makePool(ctx context.Context, e *environment) error {
	uri := e.Libvirt.URI
	for _, args := range [][]string{
		{"pool-define-as", "--name", e.Name, "--type", "dir", "--target", poolDir(e)},
		{"pool-build", e.Name},
		{"pool-start", e.Name},
	} {
		if _, err := virsh(ctx, uri, args...); err != nil {
			return fmt.Errorf("cannot make a storage pool: %w", err)
		}
	}
	return nil
}

// disks are those of a machine besides its box's, in their order: the parts of its names, and the files.
func (b boot) disks() [][2]string {
	all := [][2]string{{"agent", b.Agent}}
	if b.Services != "" {
		all = append(all, [2]string{"services", b.Services})
	}
	return all
}

// uploadBoots copies what the machines start from into the pool, every file once. A machine's disks are overlays on it:
// whatever has a snapshot must be of a format that can hold one.
func uploadBoots(ctx context.Context, e *environment) error {
	volumes := map[string]string{} // by file
	bring := func(file, kind string) (string, error) {
		if v, ok := volumes[file]; ok {
			return v, nil
		}
		v := fmt.Sprintf("%s-%d", kind, len(volumes))
		volumes[file] = v
		return v, upload(ctx, e, v, file)
	}
	for machine, b := range e.Libvirt.boots {
		var err error
		if b.Kernel, err = bring(b.Kernel, "kernel"); err != nil {
			return err
		}
		if b.Initrd, err = bring(b.Initrd, "initrd"); err != nil {
			return err
		}
		for _, d := range b.disks() {
			base, err := bring(d[1], d[0])
			if err != nil {
				return err
			}
			info, err := os.Stat(d[1])
			if err != nil {
				return err
			}
			if _, err := virsh(ctx, e.Libvirt.URI, "vol-create-as", e.Name, machine+"-"+d[0]+".qcow2", fmt.Sprint(info.Size()),
				"--format", "qcow2", "--backing-vol", base, "--backing-vol-format", "raw"); err != nil {
				return fmt.Errorf("cannot make a disk of machine.%s: %w", machine, err)
			}
		}
		e.Libvirt.boots[machine] = b
	}
	return nil
}

func upload(ctx context.Context, e *environment, volume, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	size := fmt.Sprint(info.Size())
	if _, err := virsh(ctx, e.Libvirt.URI, "vol-create-as", e.Name, volume, size, "--allocation", "0", "--format", "raw"); err != nil {
		return fmt.Errorf("cannot copy %s into the storage pool: %w", file, err)
	}
	if _, err := virsh(ctx, e.Libvirt.URI, "vol-upload", "--pool", e.Name, "--sparse", volume, file); err != nil {
		return fmt.Errorf("cannot copy %s into the storage pool: %w", file, err)
	}
	return nil
}

// networkXML is the environment's network. There is no name server in it, and without a forward element libvirt gives it no
// route and rejects what would pass through the host. The fixed addresses are below those that DHCP gives to strangers.
func networkXML(e *environment) string {
	var b strings.Builder
	forward := ""
	if e.Foreign {
		forward = "\n  <forward mode='nat'/>" // what a team's Vagrantfile installs comes from somewhere
	}
	host := e.Subnet.Addr().Next()
	fmt.Fprintf(&b, "<network ipv6='no'>\n  <name>%s</name>%s\n  <bridge name='%s' stp='off' delay='0'/>\n", e.Name, forward, bridge(e))
	if !e.Foreign {
		b.WriteString("  <dns enable='no'/>\n")
	}
	last := e.Subnet.Addr().As4()
	fmt.Fprintf(&b, "  <ip address='%s' netmask='255.255.255.0'>\n    <dhcp>\n      <range start='%d.%d.%d.220' end='%d.%d.%d.254'/>\n",
		host, last[0], last[1], last[2], last[0], last[1], last[2])
	if !e.Foreign {
		for i := range e.Machines {
			fmt.Fprintf(&b, "      <host mac='%s' ip='%s'/>\n", mac(e, i), e.address(i))
		}
	}
	b.WriteString("    </dhcp>\n  </ip>\n</network>\n")
	return b.String()
}

func hash(parts ...string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.Join(parts, "\n")))
	return h.Sum32()
}

// bridge is a name that fits into the 15 bytes of a link's name.
func bridge(e *environment) string { return fmt.Sprintf("saigen%08x", hash(e.Name)) }

// mac is in the range of QEMU's own, of the machine with that number.
func mac(e *environment, i int) string {
	h := hash(e.Name, e.Machines[i])
	return fmt.Sprintf("52:54:00:%02x:%02x:%02x", byte(h>>16), byte(h>>8), byte(h))
}

// subnets is how many there are in 198.19.0.0/16, the half of RFC 2544's range that the container driver leaves alone.
const subnets = 256

// makeNetwork takes the first subnet that is free, beginning somewhere: several runs may look at once.
func makeNetwork(ctx context.Context, e *environment) error {
	file := filepath.Join(e.Dir, "network.xml")
	first := hash(e.Name) % subnets
	var last error
	for n := range uint32(subnets) {
		e.Subnet = netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 19, byte((first + n) % subnets), 0}), 24)
		if err := os.WriteFile(file, []byte(networkXML(e)), 0o600); err != nil {
			return err
		}
		if _, err := virsh(ctx, e.Libvirt.URI, "net-define", file); err != nil {
			return fmt.Errorf("cannot make a network: %w", err)
		}
		_, err := virsh(ctx, e.Libvirt.URI, "net-start", e.Name)
		if err == nil {
			return nil
		}
		last = err
		if _, err := virsh(ctx, e.Libvirt.URI, "net-undefine", e.Name); err != nil {
			return fmt.Errorf("cannot make a network: %w", err)
		}
		if !strings.Contains(last.Error(), "already in use") { // by another network, or by a link of the host
			break
		}
	}
	return fmt.Errorf("cannot make a network: %w", last)
}

func removePool(ctx context.Context, e *environment) error {
	uri := e.Libvirt.URI
	pools, err := names(ctx, uri, "pool-list")
	if err != nil || !slices.Contains(pools, e.Name) {
		return err
	}
	// It may have been left at any step of its making: bring it to the last one first.
	_, buildErr := virsh(ctx, uri, "pool-build", e.Name)
	_, startErr := virsh(ctx, uri, "pool-start", e.Name)
	if err := removeVolumes(ctx, e, func(string) bool { return true }); err != nil {
		return errors.Join(err, buildErr, startErr)
	}
	for _, verb := range []string{"pool-destroy", "pool-delete", "pool-undefine"} {
		if _, err := virsh(ctx, uri, verb, e.Name); err != nil {
			return err
		}
	}
	return nil
}
