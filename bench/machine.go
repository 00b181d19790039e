package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine describes what the figures were measured on. No name of the host, no path.
type machine struct {
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"`
	Memory  int64  `json:"memory"` // bytes
	System  string `json:"system"`
	Kernel  string `json:"kernel"`
	KVM     string `json:"kvm"` // "yes", "no", or "not asked"
	Podman  string `json:"podman"`
	QEMU    string `json:"qemu"`
	Libvirt string `json:"libvirt"`
	Vagrant string `json:"vagrant"`
	Go      string `json:"go"`
}

// occasion is when a line was measured, and of what.
type occasion struct {
	Commit string `json:"commit"`
	Date   string `json:"date"`
	Load   string `json:"load"` // average of the minute before
	Took   string `json:"took"` // of its group
}

const notAsked = "not asked: no virtual machine was started"

func thisMachine() machine {
	var info unix.Sysinfo_t
	_ = unix.Sysinfo(&info)
	var name unix.Utsname
	_ = unix.Uname(&name)
	return machine{
		CPU: field("/proc/cpuinfo", "model name", ":"), Cores: runtime.NumCPU(), Memory: int64(info.Totalram) * int64(info.Unit),
		System: strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
		Kernel: unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:]), KVM: notAsked,
		Podman: version("podman", "--version"), QEMU: version("qemu-system-x86_64", "--version"),
		Libvirt: version("virsh", "--version"), Vagrant: version("vagrant", "--version"), Go: runtime.Version(),
	}
}

// now is an occasion that begins.
func now(repository string) occasion {
	load, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(load), " ")
	return occasion{Commit: commit(repository), Date: time.Now().UTC().Format(time.DateOnly), Load: first}
}

// field is what a file says of a name, the first time.
func field(path, name, mark string) string {
	data, _ := os.ReadFile(path)
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, mark); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
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

// commit is what was measured. What a part of the bench has written of itself does not make the next part another program.
func commit(repository string) string {
	git := func(args ...string) (string, error) {
		cmd := exec.Command("git", args...)
		cmd.Dir = repository
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	name, err := git("rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "unknown"
	}
	changed, err := git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/performance.*")
	if err != nil || changed != "" {
		name += "-dirty"
	}
	return name
}

func (m machine) table() string {
	var b strings.Builder
	b.WriteString("| | |\n|---|---|\n")
	for _, row := range [][2]string{
		{"processor", fmt.Sprintf("%s, %d cores", m.CPU, m.Cores)},
		{"memory", fmt.Sprintf("%.0f GiB", float64(m.Memory)/(1<<30))},
		{"system", m.System}, {"kernel", m.Kernel}, {"KVM", m.KVM},
		{"podman", m.Podman}, {"QEMU", m.QEMU}, {"libvirt", m.Libvirt}, {"Vagrant", m.Vagrant}, {"Go", m.Go},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
	}
	return b.String()
}
