package vagrant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

const needed = "driver vagrant"

// Requirements says what the driver needs of the host.
func Requirements() []lab.Requirement {
	all := []lab.Requirement{
		program("vagrant", "apt-get install --no-install-recommends vagrant vagrant-libvirt"),
		program("ssh", "apt-get install openssh-client"),
		{
			Name: "a provider of Vagrant", Needed: needed,
			Fix:   "apt-get install --no-install-recommends vagrant-libvirt libvirt-daemon-system qemu-system-x86 dnsmasq-base",
			Check: checkProvider,
		},
	}
	if p := os.Getenv("VAGRANT_DEFAULT_PROVIDER"); p != "" && p != "libvirt" {
		return all
	}
	return append(all,
		program("virsh", "apt-get install libvirt-clients"),
		lab.Requirement{
			Name: "libvirt at " + libvirtURI(), Needed: needed,
			Fix:   "systemctl start libvirtd; sudo usermod --append --groups libvirt $USER   # then log in again",
			Check: checkLibvirt,
		},
	)
}

func program(name, fix string) lab.Requirement {
	return lab.Requirement{Name: name, Needed: needed, Fix: fix, Check: func(context.Context) error {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("there is no program %s", name)
		}
		return nil
	}}
}

// checkProvider looks for a provider that needs no plugin, or a plugin that is one.
func checkProvider(ctx context.Context) error {
	for _, p := range []string{"VBoxManage", "prlctl"} {
		if _, err := exec.LookPath(p); err == nil {
			return nil
		}
	}
	plugins, err := listPlugins(ctx)
	if err != nil {
		return err
	}
	for _, p := range []string{"vagrant-libvirt", "vagrant-vmware", "vagrant-parallels", "vagrant-qemu"} {
		if strings.Contains(plugins, p) {
			return nil
		}
	}
	return errors.New("Vagrant has no provider that runs machines") //nolint:staticcheck // Vagrant is a name
}

func checkLibvirt(ctx context.Context) error {
	uri := libvirtURI()
	if err := checkURI(uri); err != nil {
		return err
	}
	if _, err := virsh(ctx, uri, "version"); err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	return nil
}

// checkURI refuses a user's own libvirt. There vagrant-libvirt attaches machines to a bridge that root has made, and looks up
// their addresses in root's libvirt.
func checkURI(uri string) error {
	if before, _, _ := strings.Cut(uri, "?"); strings.HasSuffix(before, "/session") {
		return errors.New("a session has no network of its own that vagrant-libvirt could use: unset LIBVIRT_DEFAULT_URI")
	}
	return nil
}
