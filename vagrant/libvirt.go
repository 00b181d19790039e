package vagrant

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

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
	err := checkURI(libvirtURI())
	if err != nil {
		return err
	}
	e.Libvirt = &libvirtState{URI: libvirtURI()}
	if e.Libvirt.Accel, err = accel(ctx, e.Libvirt.URI); err != nil {
		return err
	}
	if err := e.save(); err != nil { // what was asked for must be undone on the same libvirt
		return err
	}
	if err := makePool(ctx, e); err != nil {
		return err
	}
	e.Libvirt.boots = maps.Clone(boots)
	if err := uploadBoots(ctx, e); err != nil {
		return err
	}
	return makeNetwork(ctx, e)
}

// libvirtState is what of an environment only this provider needs.
type libvirtState struct {
	URI   string `json:"uri"`
	Accel string `json:"accel"` // vagrant-libvirt's "driver": kvm or qemu

	boots map[string]boot // with volumes for files
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

// kernelArguments: QEMU's clock is steady, so the kernel need not watch it; on a busy host it would come to distrust it.
const kernelArguments = "console=ttyS0 tsc=reliable no_timer_check "

func (libvirt) machine(e *environment, i int, spec lab.Machine) (m, v []string) {
	v = []string{
		fmt.Sprintf("v.memory = %d", memory(spec)),
		fmt.Sprintf("v.cpus = %d", cpus(spec)),
		"v.management_network_mac = " + ruby(mac(e, i)),
	}
	if b, ok := e.Libvirt.boots[spec.Name]; ok {
		v = append(v,
			"v.kernel = "+ruby(path.Join(poolDir(e), b.Kernel)),
			"v.initrd = "+ruby(path.Join(poolDir(e), b.Initrd)),
			"v.cmd_line = "+ruby(kernelArguments+b.Arguments),
		)
		for _, d := range b.disks() {
			v = append(v, fmt.Sprintf("v.storage :file, path: %s, type: 'qcow2', allow_existing: true", ruby(spec.Name+"-"+d[0]+".qcow2")))
		}
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

// lateTime is how long libvirt may work on what Vagrant had asked of it when it was killed: before it defines its first
// domain it asks QEMU what that can do, which takes seconds on a busy host.
const (
	lateTime  = 15 * time.Second
	lateEvery = 200 * time.Millisecond
)

// close removes everything, and looks; what came meanwhile it removes too.
func (v libvirt) close(ctx context.Context, e *environment) error {
	if e.Libvirt == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, lateTime)
	defer cancel()
	tick := time.NewTicker(lateEvery)
	defer tick.Stop()
	for {
		if err := v.removeAll(ctx, e); err != nil {
			return err
		}
		left := verifyGone(ctx, e)
		if left == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-limited.Done():
			return left
		}
	}
}

func (libvirt) removeAll(ctx context.Context, e *environment) error {
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
