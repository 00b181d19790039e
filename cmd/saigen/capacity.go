package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// capacity says what is left for machines: memory in bytes, and cores. 0: not known. root is "/" but in tests.
func capacity(root string) (memory int64, cores int) {
	memory = available(filepath.Join(root, "proc/meminfo"))
	for _, left := range cgroupMemory(root) {
		if memory == 0 || left < memory {
			memory = left
		}
	}
	return memory, runtime.GOMAXPROCS(0) // which Go keeps within the affinity mask and the cgroup's CPU limit
}

// affordable refuses a fetched lab whose machines could take all of the memory that this host has left. 0: not known.
func affordable(labs []*lab.Lab, memory int64) error {
	for _, l := range labs {
		left := memory
		for _, m := range l.Machines {
			size := m.Memory.Bytes()
			if size == 0 {
				size = 1 << 30 // as the drivers take it
			}
			for range 2 { // arms
				if left -= size; left < 0 && memory > 0 && l.Untrusted() {
					return &exitError{
						code: runner.ExitUsage, err: fmt.Errorf("cannot run %s %s: it was fetched, and the machines of its two arms ask for more memory than the %d MiB that this host has left", l.Name, l.Variant, memory>>20),
						hint: "Nobody of this host vouches for it, so it may not ask for more than there is. Make room, or copy the lab into a folder of your own, and give its machines less.",
					}
				}
			}
		}
	}
	return nil
}

// available is MemAvailable of /proc/meminfo: see proc_meminfo(5).
func available(path string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemAvailable:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// cgroupMemory lists what is left below the memory limits of this process's cgroup and of those around it, in either
// version; what the limit counts as used and could be given back at once is left too.
func cgroupMemory(root string) []int64 {
	data, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	var all []int64
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // "4:memory:/a/b"; version 2: "0::/a/b"
		if len(parts) < 3 {
			continue
		}
		mounts, limit, used, stat := []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"}, "memory.max", "memory.current", "inactive_file"
		switch {
		case parts[1] == "memory":
			mounts, limit, used, stat = []string{"sys/fs/cgroup/memory"}, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
		case parts[1] != "":
			continue
		}
		for _, mount := range mounts {
			for at := parts[2]; ; at = filepath.Dir(at) {
				dir := filepath.Join(root, mount, at)
				if most, ok := number(filepath.Join(dir, limit)); ok {
					now, _ := number(filepath.Join(dir, used))
					all = append(all, max(1, most-now+field(filepath.Join(dir, "memory.stat"), stat)))
				}
				if at == "/" || at == "." {
					break
				}
			}
		}
	}
	return all
}

// number reads a file with one number in it; false for "max" and for a file that is not there.
func number(path string) (int64, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n, err == nil
}

func field(path, name string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == name {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
	}
	return 0
}
