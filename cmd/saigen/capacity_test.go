package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCapacity(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing known": {nil, 0},
		"no limit": {map[string]string{
			"proc/meminfo":     "MemTotal: 4000 kB\nMemFree: 1000 kB\nMemAvailable:    3000 kB\n",
			"proc/self/cgroup": "0::/user/session\n", "sys/fs/cgroup/user/session/memory.max": "max\n",
		}, 3000 << 10},
		"version 2, the limit of a cgroup around it": {map[string]string{
			"proc/meminfo":     "MemAvailable:    3000 kB\n",
			"proc/self/cgroup": "0::/job/step\n", "sys/fs/cgroup/job/step/memory.max": "max\n",
			"sys/fs/cgroup/job/memory.max": "2000000\n", "sys/fs/cgroup/job/memory.current": "1500000\n",
			"sys/fs/cgroup/job/memory.stat": "anon 1\ninactive_file 300000\n",
		}, 800000},
		"hybrid": {map[string]string{
			"proc/meminfo":     "MemAvailable:    3000 kB\n",
			"proc/self/cgroup": "12:memory:/\n3:cpu,cpuacct:/x\n0::/x\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000000\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes": "400000\n",
		}, 600000},
		"used up": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "2000\n",
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range c.files {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, cores := capacity(root); got != c.want || cores < 1 {
				t.Errorf("%d bytes, %d cores; want %d bytes", got, cores, c.want)
			}
		})
	}
	if memory, _ := capacity("/"); memory < 1<<20 {
		t.Errorf("this host has %d bytes", memory)
	}
}
