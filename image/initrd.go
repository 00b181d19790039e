package image

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
)

// The initial RAM disk does what udev, fstab and kmod do in an installed system, so that a machine's image is the same
// for every driver: it loads what a machine needs at once, mounts saigen's disks by their labels, opens the devices that
// users need, starts the other processors (see KernelArguments), and names a modprobe to the kernel where the machine has
// none. It is not packed: without KVM, unpacking takes longer than reading.

// The labels of saigen's disks, and where a machine sees them.
const (
	rootLabel   = "saigen-root"
	agentLabel  = "saigen-agent"  // at /usr/lib/saigen
	imagesLabel = "saigen-images" // at /var/lib/saigen/images
)

// initModules are loaded at every start. All others are loaded by the kernel when somebody needs them.
var initModules = []string{"virtio_pci", "virtio_blk", "virtio_console", "virtio_net", "virtio_rng", "ext4", "overlay", "fuse", "tun"}

const initScript = `#!/bin/busybox sh
fail() {
	echo "saigen: cannot start the machine: $1" >/dev/console
	/bin/busybox reboot -f
}
b=/bin/busybox
$b mount -t devtmpfs none /dev
$b mount -t proc none /proc
$b mount -t sysfs none /sys
while read -r module; do
	$b insmod "/modules/$module" || fail "cannot load $module"
done </modules/order
n=0
until root=$($b findfs LABEL=` + rootLabel + ` 2>/dev/null); do
	n=$((n + 1))
	[ $n -lt 500 ] || fail "no disk has the label ` + rootLabel + `"
	$b usleep 10000
done
$b mount -t ext4 -o rw,noatime,noinit_itable "$root" /root || fail "cannot mount $root"
if disk=$($b findfs LABEL=` + agentLabel + ` 2>/dev/null); then
	$b mount -t ext4 -o ro "$disk" /root/usr/lib/saigen || fail "cannot mount $disk"
fi
if disk=$($b findfs LABEL=` + imagesLabel + ` 2>/dev/null); then
	$b mount -t ext4 -o ro "$disk" /root/var/lib/saigen/images || fail "cannot mount $disk"
fi
for device in fuse net/tun; do
	[ ! -e /dev/$device ] || $b chmod 666 /dev/$device
done
if [ ! -e /root/sbin/modprobe ] && [ ! -L /root/sbin/modprobe ]; then
	echo "/lib/modules/$($b uname -r)/` + modprobePath + `" >/proc/sys/kernel/modprobe
fi
for cpu in /sys/devices/system/cpu/cpu*/online; do
	[ ! -e $cpu ] || [ "$($b cat $cpu)" = 1 ] || echo 1 >$cpu || fail "cannot start a processor: $cpu"
done
for dir in dev proc sys; do
	$b mount -o move /$dir /root/$dir
done
exec $b switch_root /root /sbin/init
`

// makeInitrd packs busybox, the init above and the modules that it loads.
func makeInitrd(m *modules, busybox []byte) ([]byte, error) {
	order, err := m.order(initModules)
	if err != nil {
		return nil, err
	}
	var list strings.Builder
	w := &cpio{}
	for _, dir := range []string{"bin", "dev", "modules", "proc", "root", "sys"} {
		w.add(dir, 0o40755, 0, nil)
	}
	w.add("dev/console", 0o20600, 5<<8|1, nil)
	w.add("bin/busybox", 0o100755, 0, busybox)
	w.add("init", 0o100755, 0, []byte(initScript))
	for _, name := range order {
		file := path.Base(name)
		list.WriteString(file + "\n")
		w.add("modules/"+file, 0o100644, 0, m.data[name])
	}
	w.add("modules/order", 0o100644, 0, []byte(list.String()))
	return w.end(), nil
}

// order is the modules' files in the order in which they can be loaded. What is built into the kernel is left out.
func (m *modules) order(wanted []string) ([]string, error) {
	built := map[string]bool{}
	for line := range strings.Lines(string(m.data["modules.builtin"])) {
		built[moduleName(strings.TrimSpace(line))] = true
	}
	files := map[string]string{}
	for file := range m.depends {
		files[moduleName(file)] = file
	}
	var all []string
	for _, name := range wanted {
		file, ok := files[name]
		switch {
		case !ok && built[name]:
			continue
		case !ok:
			return nil, fmt.Errorf("the kernel %s has no module %s", m.version, name)
		}
		// depmod lists what a module needs with the first one to load last.
		for _, needed := range slices.Backward(append([]string{file}, m.depends[file]...)) {
			if !slices.Contains(all, needed) {
				all = append(all, needed)
			}
		}
	}
	return all, nil
}

// moduleName is a module's name as the kernel knows it: dashes are underscores.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// cpio writes the format that the kernel unpacks ("newc", Documentation/driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	out   bytes.Buffer
	inode int
}

func (c *cpio) add(name string, mode, device int, data []byte) {
	c.inode++
	_, _ = fmt.Fprintf(&c.out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.inode, mode, 0, 0, 1, 0, len(data), 0, 0, device>>8, device&0xff, len(name)+1, 0)
	c.out.WriteString(name)
	c.out.WriteByte(0)
	c.align()
	c.out.Write(data)
	c.align()
}

func (c *cpio) align() {
	for c.out.Len()%4 != 0 {
		c.out.WriteByte(0)
	}
}

func (c *cpio) end() []byte {
	c.add("TRAILER!!!", 0, 0, nil)
	return c.out.Bytes()
}
