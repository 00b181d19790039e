package image

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// A box is a machine's disk as Vagrant takes it. Vagrant reaches a machine by ssh, as an account that may do anything, so
// there are packages on top of the image: boxPackages, and what they need. All others have the version of the image.

// boxPackages are the layer on top: how Vagrant gets in, and udev, without which networkd touches no network card.
var boxPackages = []string{"openssh-server", "sudo", "udev"}

// boxAccount is Vagrant's, whose keys everybody knows (keys/*.pub in Vagrant's source). Its id is below those that a
// lab's accounts get.
const (
	boxUser = "vagrant"
	boxID   = "900"
	boxKeys = "ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key\n" +
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y vagrant insecure public key\n"
)

// boxFiles are what a box has besides a VM's files.
func boxFiles() []file {
	return []file{
		{name: "etc/ssh/sshd_config.d/saigen.conf", mode: 0o644, data: []byte("UseDNS no\nGSSAPIAuthentication no\n")},
		{name: "etc/sudoers.d/vagrant", mode: 0o440, data: []byte(boxUser + " ALL=(ALL) NOPASSWD: ALL\n")},
		// Vagrant logs in again and again, and needs no user manager each time: that takes seconds where a machine is emulated.
		{name: "etc/systemd/system/user@" + boxID + ".service", link: "/dev/null"},
		// Vagrant's own network, which leads nowhere; networkd is the one of Vagrant's ways to set up others that needs no package.
		{name: "etc/systemd/network/10-vagrant.network", mode: 0o644, data: []byte("[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n\n[DHCPv4]\nUseDNS=no\nUseRoutes=no\n")},
		{name: "etc/systemd/system/multi-user.target.wants/systemd-networkd.service", link: "/lib/systemd/system/systemd-networkd.service"},
		{name: "var/lib/saigen/authorized_keys", mode: 0o644, data: []byte(boxKeys)},
	}
}

// boxFill installs the layer on top of an unpacked image, $4 being its packages and $5 where to write what is then there.
const boxFill = machineFill + `
mount -t proc none "$root"/proc
for device in null zero full random urandom tty; do
	touch "$root"/dev/$device
	mount --bind /dev/$device "$root"/dev/$device
done
printf '#!/bin/sh\nexit 101\n' >"$root"/usr/sbin/policy-rc.d
chmod 755 "$root"/usr/sbin/policy-rc.d
cat /etc/resolv.conf >"$root"/etc/resolv.conf
options=$6
apt() { chroot "$root" apt-get --quiet --yes -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Acquire::Languages=none -o Dpkg::Use-Pty=0 $options "$@"; }
apt update
apt install --no-install-recommends -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold $4
apt clean
chroot "$root" groupadd --gid ` + boxID + ` ` + boxUser + `
chroot "$root" useradd --create-home --shell /bin/bash --uid ` + boxID + ` --gid ` + boxID + ` ` + boxUser + `
chroot "$root" sh -eu -c 'home=$(echo ~` + boxUser + `)
install -d -m 700 -o ` + boxUser + ` -g ` + boxUser + ` $home/.ssh
install -m 600 -o ` + boxUser + ` -g ` + boxUser + ` /var/lib/saigen/authorized_keys $home/.ssh/authorized_keys
rm /var/lib/saigen/authorized_keys'
chroot "$root" dpkg-query --show --showformat 'Package: ${Package}\nVersion: ${Version}\nArchitecture: ${Architecture}\n\n' >"$5"
rm -rf "$root"/usr/sbin/policy-rc.d "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/apt "$root"/var/log/dpkg.log "$root"/dev/pts/*
: >"$root"/etc/resolv.conf
: >"$root"/etc/machine-id
umount "$root"/proc "$root"/dev/*
rm -f "$root"/dev/*
touch "$root"/etc/.updated "$root"/var/.updated`

// boxFormat is what one of Vagrant's providers wants of a box.
type boxFormat struct {
	provider string
	disk     string // name of the disk's file
	// convert makes the disk's file out of a raw one.
	convert func(ctx context.Context, raw, out string, log io.Writer) error
	// metadata is what the provider wants to read in metadata.json, besides its own name.
	metadata map[string]any
	// settings are the lines of the box's Vagrantfile that are about the provider, which is called v in them.
	settings []string
}

// boxFormats lists the providers that a box can be made for.
func boxFormats() []boxFormat {
	return []boxFormat{{
		provider: "libvirt", disk: "box.img",
		convert: func(ctx context.Context, raw, out string, log io.Writer) error {
			_, err := command{argv: []string{"qemu-img", "convert", "-O", "qcow2", raw, out}, dir: "/", env: plainEnv(), log: log}.run(ctx)
			return err
		},
		metadata: map[string]any{"format": "qcow2", "virtual_size": machineDiskSize >> 30},
		settings: []string{
			"v.kernel = File.expand_path('" + kernelName + "', __dir__)",
			"v.initrd = File.expand_path('" + initrdName + "', __dir__)",
			"v.cmd_line = '" + KernelArguments + " console=ttyS0'",
			"v.disk_bus = 'virtio'",
			"v.nic_model_type = 'virtio'",
			"v.random model: 'random'",
		},
	}}
}

const (
	boxesKind = "boxes"
	boxName   = "box.tar.gz"
	boxInfo   = "box.json"
)

// boxFile is what box.json holds, and what metadata.json says of where the box comes from.
type boxFile struct {
	Image  string    `json:"image"`  // hash
	Kernel string    `json:"kernel"` // version
	Added  []Package `json:"added"`  // packages that the image does not have
}

// Box returns a Vagrant box for one of its providers, made of a machine's image. It boots the kernel k directly: kernel
// and initial RAM disk are in the box, and its Vagrantfile names them. It may take a minute and needs Debian's archive.
func (c *Cache) Box(ctx context.Context, b Built, k Kernel, provider string, say Say) (string, error) {
	what := "box of image." + b.Image.Name
	formats := boxFormats()
	at := slices.IndexFunc(formats, func(f boxFormat) bool { return f.provider == provider })
	if at < 0 {
		var known []string
		for _, f := range formats {
			known = append(known, f.provider)
		}
		return "", &lab.InfraError{
			What: "cannot make the " + what,
			Err:  fmt.Errorf("saigen makes no boxes for Vagrant's provider %q, only for %s", provider, strings.Join(known, ", ")),
			Hint: "give the lab a box for that provider, or a Vagrantfile",
		}
	}
	format := formats[at]
	if b.Role != Machine {
		return "", fmt.Errorf("cannot make the %s: it is no machine", what)
	}
	ours, err := archive(append(vmFiles(), boxFiles()...), time.Unix(0, 0))
	if err != nil {
		return "", err
	}
	key, err := json.Marshal([]any{"box", diskRecipe, diskScript, boxFill, boxPackages, provider, format.metadata, format.settings, b.content(), k.Hash, ours})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(key)
	hash := hex.EncodeToString(sum[:])
	name := what + " for " + provider
	what = fmt.Sprintf("%s (%s)", name, hash[:12])
	dir, _, err := c.entry(ctx, boxesKind, hash, what, say, func(tmp string, log io.Writer) error {
		began := time.Now()
		say("%s: adding %s", what, strings.Join(boxPackages, ", "))
		if err := makeBox(ctx, format, b, k, ours, tmp, log); err != nil {
			return err
		}
		say("%s: made in %.1f s", what, time.Since(began).Seconds())
		return writeName(tmp, name)
	})
	if err != nil {
		return "", infra("cannot make the "+what, err, c.failedLog(boxesKind, hash))
	}
	return filepath.Join(dir, boxName), nil
}

func makeBox(ctx context.Context, format boxFormat, b Built, k Kernel, ours []byte, tmp string, log io.Writer) error {
	files, list, raw, disk := filepath.Join(tmp, oursName), filepath.Join(tmp, "packages"), filepath.Join(tmp, diskName), filepath.Join(tmp, format.disk)
	if err := os.WriteFile(files, ours, 0o644); err != nil {
		return err
	}
	options := ""
	if b.Image.Snapshot != "" {
		options = "-o Acquire::Check-Valid-Until=false"
	}
	spec := diskSpec{label: rootLabel, size: machineDiskSize, fill: boxFill}.with(b.Tar, k.Modules, files, strings.Join(boxPackages, " "), list, options)
	if err := makeDisk(ctx, spec, tmp, raw, log); err != nil {
		return err
	}
	text, err := os.Open(list)
	if err != nil {
		return err
	}
	now, err := parsePackages(text, false)
	_ = text.Close()
	if err != nil {
		return err
	}
	info := boxFile{Image: b.Hash, Kernel: k.Version}
	if info.Added, err = added(b.Packages, now); err != nil {
		return err
	}
	if err := format.convert(ctx, raw, disk, log); err != nil {
		return fmt.Errorf("cannot convert the disk: %w", err)
	}
	if err := writeBox(format, k, info, disk, filepath.Join(tmp, boxName)); err != nil {
		return err
	}
	return errors.Join(os.Remove(files), os.Remove(list), os.Remove(raw), os.Remove(disk), writeJSON(filepath.Join(tmp, boxInfo), info))
}

// added returns the packages that are new. A box in which others have changed would not run what the lab's other
// machines run.
func added(image, now []Package) ([]Package, error) {
	was := map[string]string{}
	for _, p := range image {
		if p.From != "" {
			continue // not dpkg's
		}
		was[p.Name+" "+p.Arch] = p.Version
	}
	var all []Package
	for _, p := range now {
		version, ok := was[p.Name+" "+p.Arch]
		delete(was, p.Name+" "+p.Arch)
		switch {
		case !ok:
			all = append(all, p)
		case version != p.Version:
			return nil, fmt.Errorf("the image has %s %s, but what a box adds needs %s: the image is older than Debian's archive; prune it from the cache, or give it a snapshot", p.Name, version, p.Version)
		}
	}
	for name := range was {
		return nil, fmt.Errorf("what a box adds removes the package %s", name)
	}
	return all, nil
}

// writeBox packs the parts. The disk comes last: what reads only the metadata need not unpack it.
func writeBox(format boxFormat, k Kernel, info boxFile, disk, out string) error {
	metadata := map[string]any{"provider": format.provider, "saigen": info}
	for name, v := range format.metadata {
		metadata[name] = v
	}
	text, err := json.MarshalIndent(metadata, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	put := func(name string, size int64, r io.Reader) error {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err := io.Copy(w, r)
		return err
	}
	vagrantfile := boxVagrantfile(format)
	if err := errors.Join(
		put("metadata.json", int64(len(text)), strings.NewReader(string(text))),
		put("Vagrantfile", int64(len(vagrantfile)), strings.NewReader(vagrantfile)),
	); err != nil {
		return err
	}
	for _, one := range [][2]string{{kernelName, k.Image}, {initrdName, k.Initrd}, {format.disk, disk}} {
		part, err := os.Open(one[1])
		if err != nil {
			return err
		}
		st, err := part.Stat()
		if err == nil {
			err = put(one[0], st.Size(), part)
		}
		_ = part.Close()
		if err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), z.Close(), f.Close())
}

// boxVagrantfile is the Vagrantfile in the box, which Vagrant reads before the user's.
func boxVagrantfile(format boxFormat) string {
	var text strings.Builder
	text.WriteString("# Written by saigen.\nVagrant.configure('2') do |config|\n")
	text.WriteString("  config.vm.synced_folder '.', '/vagrant', disabled: true\n")
	fmt.Fprintf(&text, "  config.vm.provider '%s' do |v|\n", format.provider)
	for _, line := range format.settings {
		text.WriteString("    " + line + "\n")
	}
	text.WriteString("  end\nend\n")
	return text.String()
}
