package vagrant

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is now (go test -update rewrites it):\n%s", file, got)
	}
}

func sample(provider string) (*environment, *lab.Lab, map[string]box) {
	l := &lab.Lab{Name: "it's a lab", Machines: []lab.Machine{
		{Name: "server", Memory: "2GiB", CPUs: 4}, {Name: "client"},
	}}
	e := &environment{
		Dir: "/scratch/vagrant/0", Name: "saigen-r1-0", Provider: provider, Machines: []string{"server", "client"},
		Subnet: netip.MustParsePrefix("198.19.7.0/24"), provider: providerNamed(provider),
	}
	return e, l, map[string]box{"server": {name: "saigen-aaaa", guest: "debian"}, "client": {name: "saigen-bbbb"}}
}

func TestVagrantfileForLibvirt(t *testing.T) {
	e, l, boxes := sample("libvirt")
	e.Libvirt = &libvirtState{URI: "qemu:///system", Accel: "qemu", boots: map[string]boot{"server": {Kernel: "kernel-0", Initrd: "initrd-1", Arguments: "quiet", Agent: "agent-2", Services: "services-3"}}}
	golden(t, "libvirt-home", homeVagrantfile(e))
	golden(t, "libvirt", vagrantfile(e, l, boxes))
	golden(t, "libvirt-network", networkXML(e))
	e.Libvirt.Accel, e.Foreign = "kvm", true
	golden(t, "libvirt-home-of-a-team", homeVagrantfile(e))
	golden(t, "libvirt-network-of-a-team", networkXML(e))
}

func TestVagrantfileForAnyProvider(t *testing.T) {
	e, l, boxes := sample("virtualbox")
	if err := e.provider.open(t.Context(), e, nil); err != nil {
		t.Fatal(err)
	}
	golden(t, "any-home", homeVagrantfile(e))
	golden(t, "any", vagrantfile(e, l, boxes))
	if err := e.provider.open(t.Context(), e, map[string]boot{"server": {}}); err == nil {
		t.Error("a provider that cannot start from a kernel was given one")
	}
	l.Machines, e.Machines = l.Machines[:1], e.Machines[:1]
	golden(t, "any-alone", vagrantfile(e, l, boxes))
}

func TestHosts(t *testing.T) {
	e, _, _ := sample("libvirt")
	const local = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	if got, want := e.hosts("client"), local+"198.19.7.11\tserver\n198.19.7.12\tclient\n"; got != want {
		t.Errorf("/etc/hosts is\n%s", got)
	}
	e.Machines = e.Machines[:1]
	if got, want := e.hosts("server"), local+"127.0.0.1\tserver\n"; got != want {
		t.Errorf("/etc/hosts of a machine alone is\n%s", got)
	}
}

func TestRuby(t *testing.T) {
	for text, want := range map[string]string{
		"plain": `'plain'`, "it's": `'it\'s'`, `back\slash`: `'back\\slash'`, "#{`id`}": "'#{`id`}'",
	} {
		if got := ruby(text); got != want {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func TestNamesFit(t *testing.T) {
	e, _, _ := sample("libvirt")
	e.Name = "saigen-20261122-163900-abcd-control-11"
	if n := len(bridge(e)); n > 15 {
		t.Errorf("%s has %d bytes, a link's name 15", bridge(e), n)
	}
	if mac(e, 0) == mac(e, 1) {
		t.Error("two machines have the same address")
	}
}
