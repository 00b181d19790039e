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
	"runtime"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// libvirt is Vagrant's provider of the plugin vagrant-libvirt. What its machines need besides is made with virsh, and named
// after the environment: a storage pool, so that the pool called default stays as it is; and one network without a way out,
// with a fixed address for every machine. Removing goes by these names, so it does not matter how far Vagrant got.
type libvirt struct{}

// defaultURI is the libvirt that vagrant-libvirt uses, unless LIBVIRT_DEFAULT_URI names another.
const defaultURI = "qemu:///system"

func libvirtURI() string {
	if uri := os.Getenv("LIBVIRT_DEFAULT_URI"); uri != "" {
		return uri
	}
	return defaultURI
}

// poolDir is where the environment's disks are: below a folder that libvirt's QEMU may look into, which a user's home is not.
func poolDir(e *environment) string { return path.Join("/var/lib/libvirt/images", e.Name) }

// virsh runs virsh on the environment's libvirt.
func virsh(ctx context.Context, uri string, args ...string) (string, error) {
	out, err := tool{argv: append([]string{"virsh", "--quiet", "--connect", uri}, args...), env: plainEnv()}.run(ctx)
	var failed *toolError
	if errors.As(err, &failed) {
		err = fmt.Errorf("virsh %s: %s", args[0], strings.TrimPrefix(strings.ReplaceAll(failed.tail, "\n", ": "), "error: "))
	}
	return string(out), err
}

// names lists one kind of things: "list" for domains, "net-list", "pool-list".
func names(ctx context.Context, uri, verb string) ([]string, error) {
	out, err := virsh(ctx, uri, verb, "--all", "--name")
	return strings.Fields(out), err
}

func (libvirt) open(ctx context.Context, e *environment, boots map[string]boot) error {
	e.Libvirt = &libvirtState{URI: libvirtURI()}
	var err error
	if e.Libvirt.Accel, err = accel(ctx, e.Libvirt.URI); err != nil {
		return err
	}
	if err := e.save(); err != nil { // what was asked for must be undone on the same libvirt
		return err
	}
	if err := makePool(ctx, e); err != nil {
		return err
	}
	for name, b := range boots {
		for suffix, file := range map[string]string{"vmlinuz": b.Kernel, "initrd": b.Initrd} {
			if err := upload(ctx, e, name+"-"+suffix, file); err != nil {
				return err
			}
		}
	}
	e.Libvirt.boots = boots
	return makeNetwork(ctx, e)
}

// libvirtState is what of an environment only this provider needs.
type libvirtState struct {
	URI   string `json:"uri"`
	Accel string `json:"accel"` // vagrant-libvirt's "driver": kvm or qemu

	boots map[string]boot
}

// accel says how machines run: without KVM, QEMU emulates them, ten times slower. libvirt believes in /dev/kvm when it is
// there, and would then fail to start any machine where it is of no use.
func accel(ctx context.Context, uri string) (string, error) {
	if strings.HasPrefix(uri, "qemu:///") && !hasVirtualization() {
		return "qemu", nil
	}
	_, err := virsh(ctx, uri, "domcapabilities", "--virttype", "kvm")
	if err == nil {
		return "kvm", nil
	}
	if _, other := virsh(ctx, uri, "domcapabilities", "--virttype", "qemu"); other != nil {
		return "", errors.Join(err, other)
	}
	return "qemu", nil
}

// hasVirtualization says whether this host's processor can run VMs. A kernel may have /dev/kvm, and even make VMs, without
// that: these run only guests that are written for it.
func hasVirtualization() bool {
	if runtime.GOARCH != "amd64" {
		return true
	}
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(data)) {
		if name, flags, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "flags" {
			return slices.ContainsFunc(strings.Fields(flags), func(f string) bool { return f == "vmx" || f == "svm" })
		}
	}
	return true
}

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

func upload(ctx context.Context, e *environment, volume, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	size := fmt.Sprint(info.Size())
	if _, err := virsh(ctx, e.Libvirt.URI, "vol-create-as", e.Name, volume, size, "--format", "raw"); err != nil {
		return fmt.Errorf("cannot copy %s into the storage pool: %w", file, err)
	}
	if _, err := virsh(ctx, e.Libvirt.URI, "vol-upload", "--pool", e.Name, volume, file); err != nil {
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

func (libvirt) settings(e *environment) []string {
	v := []string{
		"v.uri = " + ruby(e.Libvirt.URI),
		"v.driver = " + ruby(e.Libvirt.Accel),
		"v.default_prefix = " + ruby(e.Name+"_"),
		"v.storage_pool_name = " + ruby(e.Name),
		"v.management_network_name = " + ruby(e.Name),
		"v.management_network_address = " + ruby(e.Subnet.String()),
		"v.management_network_guest_ipv6 = 'no'",
		"v.graphics_type = 'none'",
		"v.disk_driver cache: 'unsafe'", // a host that crashes has lost the machine anyway
		"v.random model: 'random'",
	}
	if e.Libvirt.Accel == "qemu" {
		// The newest model of which QEMU emulates everything; the default would be the host's.
		v = append(v, "v.cpu_mode = 'custom'", "v.cpu_model = 'Nehalem'")
	}
	if !e.Foreign {
		v = append(v, "v.management_network_mode = 'none'")
	}
	return v
}

func (libvirt) machine(e *environment, i int, spec lab.Machine) (m, v []string) {
	v = []string{
		fmt.Sprintf("v.memory = %d", memory(spec)),
		fmt.Sprintf("v.cpus = %d", cpus(spec)),
		"v.management_network_mac = " + ruby(mac(e, i)),
	}
	if b, ok := e.Libvirt.boots[spec.Name]; ok {
		v = append(v,
			"v.kernel = "+ruby(path.Join(poolDir(e), spec.Name+"-vmlinuz")),
			"v.initrd = "+ruby(path.Join(poolDir(e), spec.Name+"-initrd")),
			"v.cmd_line = "+ruby(b.Arguments+" console=ttyS0"),
		)
	}
	return nil, v
}

func domain(e *environment, machine string) string { return e.Name + "_" + machine }

// stop does not go through Vagrant, which would ask the machine to shut down, and wait a minute for that.
func (libvirt) stop(ctx context.Context, e *environment, machine string) error {
	running, err := virsh(ctx, e.Libvirt.URI, "list", "--name")
	if err != nil || !slices.Contains(strings.Fields(running), domain(e, machine)) {
		return err
	}
	_, err = virsh(ctx, e.Libvirt.URI, "destroy", domain(e, machine))
	return err
}

func (libvirt) remove(ctx context.Context, e *environment, machine string) error {
	if e.Libvirt == nil {
		return nil // it was not asked for anything yet
	}
	mine := func(name string) bool { return name == domain(e, machine) }
	if err := removeDomains(ctx, e, mine); err != nil {
		return err
	}
	return removeVolumes(ctx, e, func(volume string) bool { return mine(strings.TrimSuffix(volume, ".img")) })
}

// removeDomains ends and removes domains. Snapshots are in their disks, and go with these.
func removeDomains(ctx context.Context, e *environment, which func(string) bool) error {
	uri := e.Libvirt.URI
	domains, err := names(ctx, uri, "list")
	if err != nil {
		return err
	}
	for _, d := range domains {
		if !which(d) {
			continue
		}
		_, stopErr := virsh(ctx, uri, "destroy", d) // an error when it does not run
		if _, err := virsh(ctx, uri, "undefine", d, "--managed-save", "--snapshots-metadata", "--checkpoints-metadata"); err != nil {
			return errors.Join(err, stopErr)
		}
	}
	return nil
}

func removeVolumes(ctx context.Context, e *environment, which func(string) bool) error {
	volumes, err := listVolumes(ctx, e)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if !which(v) {
			continue
		}
		if _, err := virsh(ctx, e.Libvirt.URI, "vol-delete", "--pool", e.Name, v); err != nil {
			return err
		}
	}
	return nil
}

func listVolumes(ctx context.Context, e *environment) ([]string, error) {
	out, err := virsh(ctx, e.Libvirt.URI, "vol-list", e.Name)
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) >= 2 {
			all = append(all, f[0])
		}
	}
	return all, nil
}

func (libvirt) close(ctx context.Context, e *environment) error {
	if e.Libvirt == nil {
		return nil
	}
	uri := e.Libvirt.URI
	if err := removeDomains(ctx, e, func(name string) bool { return strings.HasPrefix(name, e.Name+"_") }); err != nil {
		return err
	}
	if err := removePool(ctx, e); err != nil {
		return err
	}
	networks, err := names(ctx, uri, "net-list")
	if err != nil || !slices.Contains(networks, e.Name) {
		return err
	}
	_, stopErr := virsh(ctx, uri, "net-destroy", e.Name) // an error when it is not active
	if _, err := virsh(ctx, uri, "net-undefine", e.Name); err != nil {
		return errors.Join(err, stopErr)
	}
	return nil
}

func (libvirt) findsAll() bool { return true }

func (libvirt) hasSnapshots(context.Context, *environment) bool { return true }

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
