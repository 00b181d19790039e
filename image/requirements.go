package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Requirements is what building images needs of the host.
func Requirements() []lab.Requirement {
	all := []lab.Requirement{
		program("mmdebstrap", "images of Debian packages", "apt-get install --no-install-recommends mmdebstrap"),
		{
			Name: "debian-archive-keyring", Needed: "images of Debian packages",
			Fix:   "apt-get install debian-archive-keyring",
			Check: func(context.Context) error { _, err := os.Stat(keyring); return err },
		},
		program("unshare", "building images", "apt-get install util-linux"),
		program("podman", "image stores (driver container) and OCI images", "apt-get install --no-install-recommends podman"),
		{Name: "go", Needed: "images of Go programs", Fix: "see https://go.dev/doc/install", Check: checkGo},
	}
	if os.Geteuid() != 0 {
		all = append(all, lab.Requirement{
			Name: "subordinate ids", Needed: "building images as a normal user",
			Fix:   "sudo apt-get install uidmap && sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER",
			Check: checkSubids,
		})
	}
	return all
}

// DiskRequirements is what disks for VMs need of the host, besides Requirements.
func DiskRequirements() []lab.Requirement {
	all := []lab.Requirement{program("mke2fs", "disks of VMs", "apt-get install e2fsprogs")}
	if os.Geteuid() != 0 {
		all = append(all, lab.Requirement{
			Name: "user namespaces", Needed: "disks of VMs as a normal user",
			Fix:   "sudo sysctl -w kernel.unprivileged_userns_clone=1   # or what else your distribution switches them off with",
			Check: checkNamespaces,
		})
	}
	return all
}

// BoxRequirements is what Vagrant boxes need of the host, besides Requirements and DiskRequirements.
func BoxRequirements() []lab.Requirement {
	return []lab.Requirement{program("qemu-img", "Vagrant boxes", "apt-get install --no-install-recommends qemu-utils")}
}

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

func program(name, needed, fix string) lab.Requirement {
	return lab.Requirement{Name: name, Needed: needed, Fix: fix, Check: func(context.Context) error {
		_, err := lookPath(name)
		return err
	}}
}

func checkGo(ctx context.Context) error {
	_, err := findGo(ctx)
	return err
}

func checkSubids(context.Context) error {
	if _, err := lookPath("newuidmap"); err != nil {
		return fmt.Errorf("newuidmap is not installed")
	}
	me, err := user.Current()
	if err != nil {
		return err
	}
	for _, name := range []string{"/etc/subuid", "/etc/subgid"} {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if !hasSubids(string(data), me) {
			return fmt.Errorf("%s has no line for %s", name, me.Username)
		}
	}
	return nil
}

// checkNamespaces makes the namespaces in which a normal user's disks are filled.
func checkNamespaces(ctx context.Context) error {
	last, err := command{argv: []string{"true"}, dir: "/", env: plainEnv(), mapped: true, log: io.Discard}.run(ctx)
	if err != nil {
		return fmt.Errorf("cannot make a user namespace: %w", err)
	}
	if len(last) > 0 {
		return fmt.Errorf("making a user namespace printed %q", last)
	}
	return nil
}

func hasSubids(text string, me *user.User) bool {
	for line := range strings.Lines(text) {
		if who, _, _ := strings.Cut(line, ":"); who == me.Username || who == me.Uid {
			return true
		}
	}
	return false
}
