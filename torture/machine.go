package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine describes what the figures were counted on: what saigen wrote of the host into the run.json of a run, and what is of
// interest besides. No name of the host, no path.
type machine struct {
	Saigen string `json:"saigen"` // its version
	Host   struct {
		System string `json:"system"`
		Kernel string `json:"kernel"`
		Arch   string `json:"arch"`
		CPUs   int    `json:"cpus"`
		Memory int64  `json:"memory"` // bytes
	} `json:"host"`
	KVM    string `json:"kvm"`
	Podman string `json:"podman"`
	QEMU   string `json:"qemu"`
	Load   string `json:"load"`   // average of the minute before
	Shared bool   `json:"shared"` // other things happened on the host: only what carried a run's id was compared
	Date   string `json:"date"`
}

func thisMachine() machine {
	load, _ := os.ReadFile("/proc/loadavg")
	m := machine{
		KVM: "no", Podman: version("podman", "--version"), QEMU: version("qemu-system-x86_64", "--version"),
		Shared: sharedHost(), Date: time.Now().UTC().Format(time.DateOnly),
	}
	m.Load, _, _ = strings.Cut(string(load), " ")
	if canMakeVMs() {
		m.KVM = "yes"
	}
	return m
}

// canMakeVMs says whether the kernel makes VMs: /dev/kvm may be there where the processor cannot.
func canMakeVMs() bool {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	const createVM = 0xAE01 // KVM_CREATE_VM of linux/kvm.h
	vm, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), createVM, 0)
	if errno != 0 {
		return false
	}
	return unix.Close(int(vm)) == nil
}

// describe adds what saigen wrote of the host into a run's folder.
func (m *machine) describe(run string) error {
	data, err := os.ReadFile(filepath.Join(run, "run.json"))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, m)
}

// number finds a version in what a program prints about itself, with that of its Debian package.
var number = regexp.MustCompile(`[0-9]+\.[0-9.]+( \(Debian [^)]+\))?`)

func version(argv ...string) string {
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		return "none"
	}
	return number.FindString(string(out))
}

// String is the host, in a line.
func (m machine) String() string {
	return fmt.Sprintf("%d processors (%s), %.0f GiB of memory, %s, %s, KVM: %s, podman %s, QEMU %s",
		m.Host.CPUs, m.Host.Arch, float64(m.Host.Memory)/(1<<30), m.Host.System, m.Host.Kernel, m.KVM, m.Podman, m.QEMU)
}

// compared says what was compared of the host before and after.
func (m machine) compared() string {
	if m.Shared {
		return "what carries the run's id: other things ran on the host"
	}
	return "everything; of processes, what saigen had started"
}
