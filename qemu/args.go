package qemu

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/image"
)

// cpuModel is what the machines' programs see, with KVM and without: x86-64-v2, which Debian needs less than. It is named
// with its version, because a saved machine cannot go on with another one.
const cpuModel = "Nehalem-v1"

// translations is how much memory QEMU may use, in MiB, for the machine code that it makes where there is no KVM.
const translations = 128

// vm is all that a machine's command line depends on.
type vm struct {
	name   string // of the process, for people
	accel  string
	cpus   int
	memory int64 // in bytes
	kernel image.Kernel
	host   string // the machine's host name

	ram    string // file with its memory
	shared bool   // with the file; otherwise it is a private copy of it

	root     string // overlay that is written to
	saved    string // overlay below that; empty: none
	base     string // disk below that
	agent    string // disk
	services string // disk

	network  string // the network's folder, relative to the machine's; empty: none
	number   int    // among the lab's machines
	incoming bool   // its state comes through the monitor
}

// The board is the one with the fewest devices that has a timer beside the processors' own (HPET). Without KVM a kernel
// needs one: on a busy host it cannot find out the pace of its processors' counters from the old timer chip alone,
// and then stands still. That rules out microvm, which boots no faster. Its name has a version, as that of the CPU model.
const (
	board   = "pc-q35-7.2"
	machine = board + ",usb=off,sata=off,smbus=off,vmport=off,hpet=on,dump-guest-core=off,memory-backend=ram"
	onBoard = "-pci" // how its virtio devices are called
)

// arguments is the machine's command line, without what every QEMU gets.
func (v vm) arguments() []string {
	accel, cpu := v.accel, cpuModel
	if accel == accelKVM {
		cpu += ",enforce" // all of it, or no machine
	}
	if accel == accelTCG {
		accel = fmt.Sprintf("tcg,thread=multi,tb-size=%d", translations)
	}
	args := []string{
		"-name", v.name + ",debug-threads=on", "-no-reboot", // the threads' names tell which are processors
		"-machine", machine,
		"-accel", accel, "-cpu", cpu, "-smp", "cpus=" + strconv.Itoa(v.cpus), "-m", fmt.Sprintf("size=%dB", v.memory),
		"-object", object("qom-type", "memory-backend-file", "id", "ram", "size", v.memory, "mem-path", v.ram, "share", v.shared),
		"-chardev", "file,id=console,path=" + consoleLog + ",append=on", "-serial", "chardev:console",
		"-device", object("driver", "virtio-rng"+onBoard),
		"-device", object("driver", "virtio-serial"+onBoard),
	}
	for n := range guest.Ports {
		id := fmt.Sprintf("agent.%d", n)
		args = append(args,
			"-chardev", fmt.Sprintf("socket,id=%s,path=%s,server=on,wait=off", id, guest.PortSocket("", n)),
			"-device", object("driver", "virtserialport", "chardev", id, "name", guest.PortName+strconv.Itoa(n)),
		)
	}
	args = append(args, v.disks()...)
	if v.network != "" {
		args = append(args,
			"-netdev", object("type", "dgram", "id", "network",
				"local", unixAddress(machineEnd), "remote", unixAddress(v.network+"/"+networkEnd(v.number))),
			"-device", object("driver", "virtio-net"+onBoard, "netdev", "network", "mac", macOf(v.number), "romfile", ""),
		)
	}
	if v.incoming { // its memory has the kernel; to read 20 MB of files for nothing takes a tenth of a restore
		args = append(args, "-S", "-incoming", "defer")
	} else {
		args = append(args, "-kernel", v.kernel.Image, "-initrd", v.kernel.Initrd, "-append", v.commandLine())
	}
	return args
}

// commandLine is the kernel's. The clock of QEMU is steady, so that the kernel need not watch it: on a host that is busy,
// it would find it to be wrong.
func (v vm) commandLine() string {
	return "console=ttyS0 tsc=reliable no_timer_check systemd.hostname=" + v.host + " " + image.KernelArguments
}

// disks are those of the machine, the one that it writes to first. Nobody locks what nobody writes; what is written is
// thrown away with the machine, so that it need not reach the host's disk.
func (v vm) disks() []string {
	file := func(name string, readOnly bool) map[string]any {
		return map[string]any{"driver": "file", "filename": name, "read-only": readOnly, "locking": "off"}
	}
	below := "base"
	args := []string{"-blockdev", object("driver", "raw", "node-name", below, "read-only", true, "file", file(v.base, true))}
	if v.saved != "" {
		args = append(args, "-blockdev", object("driver", "qcow2", "node-name", "saved", "read-only", true,
			"file", file(v.saved, true), "backing", below))
		below = "saved"
	}
	args = append(args,
		"-blockdev", object("driver", "qcow2", "node-name", "root", "discard", "unmap", "cache", map[string]any{"no-flush": true},
			"file", file(v.root, false), "backing", below),
		"-device", object("driver", "virtio-blk"+onBoard, "drive", "root"))
	for _, d := range []struct{ node, path string }{{"agent", v.agent}, {"services", v.services}} {
		args = append(args,
			"-blockdev", object("driver", "raw", "node-name", d.node, "read-only", true, "file", file(d.path, true)),
			"-device", object("driver", "virtio-blk"+onBoard, "drive", d.node, "share-rw", true))
	}
	return args
}

// object is an argument as JSON, where no character of a path means anything. The pairs are keys and values.
func object(pairs ...any) string {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	data, _ := json.Marshal(m) // strings, numbers and maps of them: it cannot fail
	return string(data)
}

func unixAddress(path string) map[string]any { return map[string]any{"type": "unix", "path": path} }
