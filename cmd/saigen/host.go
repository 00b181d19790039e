package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// hostInfo is the host of a run, as its run.json records it: what a reader compares when two runs differ.
type hostInfo struct {
	System string `json:"system,omitempty"` // "Debian GNU/Linux 12 (bookworm)"
	Kernel string `json:"kernel,omitempty"` // "Linux 6.1.0-28-amd64"
	Arch   string `json:"arch"`
	CPUs   int    `json:"cpus"`
	Memory int64  `json:"memory,omitempty"` // bytes
}

func thisHost() hostInfo {
	h := hostInfo{Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), System: systemName("/etc/os-release")}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) == nil {
		h.Memory = int64(s.Totalram) * int64(s.Unit)
	}
	return h
}

// systemName is PRETTY_NAME of os-release(5).
func systemName(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"'`)
		}
	}
	return ""
}

// thisVersion is saigen's own, as saigen version prints it.
func thisVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "" {
		return info.Main.Version
	}
	return version
}
