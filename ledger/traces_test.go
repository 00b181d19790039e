package ledger

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

func TestTraces(t *testing.T) {
	v := inventory()
	for i, p := range []process{
		{name: "conmon", cgroups: "/\n/saigen-r-01-engine-2/conmon\n"},
		{name: "saigen", cgroups: "/saigen-r-02", command: "/x/saigen guest", saigen: true},
		{name: "qemu-system-x86", command: "qemu-system-x86_64 -pidfile /run/saigen/r-03-control/server/pid"},
		{name: "qemu-img", command: "qemu-img create /state/saigen/runs/r-04/scratch/r-04/qemu/disk"},
		{name: "qemu-system-x86", command: "/usr/bin/qemu -name guest=saigen-r-05-0_server,debug=on"},
		{name: "saigen-r-06", command: "sleep 1"},
		{name: "sleep", command: "/tmp/r-07/sleep 1"},
		{name: "saigen", command: "saigen attach r-90", saigen: true},
		{name: "less", command: "less /state/saigen/runs/r-91/events.jsonl"},
		{name: "grep", command: "grep r-92 notes"},
		{name: "vi", command: "vi notes"},
	} {
		p.pid = 100 + i
		v.processes[p.name+p.command+p.cgroups] = p
	}
	v.mounts["a"] = mount{"/state/saigen/runs/r-08/scratch/it's", "overlay", "overlay"}
	v.mounts["b"] = mount{"/mnt", "nfs", "server:/export"}
	v.links["5"] = link{"saigen-r-09", 5}
	v.links["6"] = link{"eth0", 6}
	for _, c := range []string{"/sys/fs/cgroup/unified/saigen-r-10", "/sys/fs/cgroup/unified/saigen-r-10/a", "v2:saigen-r-10", "v2:saigen-r-10/a", "v2:saigen-r-12", "/sys/fs/cgroup/user.slice"} {
		v.cgroups[c] = true
	}
	v.files["/run/saigen/r-11"], v.files["/run/saigen/r-11/agent.sock"], v.files["/run/saigen/other"] = true, true, true

	var got []string
	for _, t := range v.Traces(regexp.MustCompile(`r-\d\d`)) {
		got = append(got, string(t.Run)+" "+t.String()+" "+t.Dir)
	}
	want := []string{
		"r-10 cgroup /sys/fs/cgroup/unified/saigen-r-10; remove it with: rmdir /sys/fs/cgroup/unified/saigen-r-10 ",
		"r-12 cgroup v2:saigen-r-12; remove it with: " + removeCgroup("v2:saigen-r-12") + " ",
		"r-11 file /run/saigen/r-11; remove it with: rm -rf /run/saigen/r-11 ",
		"r-08 mount of overlay (overlay) on /state/saigen/runs/r-08/scratch/it's; remove it with: umount '/state/saigen/runs/r-08/scratch/it'\\''s' /state/saigen/runs/r-08",
		"r-09 network link saigen-r-09; remove it with: ip link delete saigen-r-09 ",
		"r-01 process 100 (conmon); remove it with: kill -9 100 ",
		"r-02 process 101 (saigen); remove it with: kill -9 101 ",
		"r-03 process 102 (qemu-system-x86); remove it with: kill -9 102 ",
		"r-04 process 103 (qemu-img); remove it with: kill -9 103 /state/saigen/runs/r-04",
		"r-05 process 104 (qemu-system-x86); remove it with: kill -9 104 ",
		"r-06 process 105 (saigen-r-06); remove it with: kill -9 105 ",
		"r-07 process 106 (sleep); remove it with: kill -9 106 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("traces:\n%q\nwant:\n%q", got, want)
	}
}

func TestOwners(t *testing.T) {
	dir, other := filepath.Join(t.TempDir(), "r1"), filepath.Join(t.TempDir(), "r2")
	for _, d := range []string{dir, other} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		l, err := Open(d, "r1")
		if err != nil {
			t.Fatal(err)
		}
		if d == other { // a lock that is not held
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(filepath.Join(d, lockName))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			continue
		}
		defer l.Close()
	}
	owners, err := Owners()
	if err != nil {
		t.Fatal(err)
	}
	if owners[dir] != os.Getpid() || owners[other] != 0 {
		t.Errorf("owners %v; want this process of %s alone", owners, dir)
	}
}
