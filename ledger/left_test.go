package ledger

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func inventory() Inventory {
	return Inventory{
		processes: map[string]process{}, mounts: map[string]mount{}, namespaces: map[string]namespace{},
		links: map[string]link{}, cgroups: map[string]bool{}, files: map[string]bool{},
	}
}

func TestLeft(t *testing.T) {
	before, after := inventory(), inventory()
	old := process{pid: 1, name: "init"}
	before.processes["1 0"], after.processes["1 0"] = old, old
	before.files["/run/saigen/r1/old"], after.files["/run/saigen/r1/old"] = true, true

	conmon := process{pid: 20, name: "conmon", cgroups: "/\n/saigen-r1/conmon\n"}
	after.processes["20 5"] = conmon
	after.processes["1 9"] = process{pid: 1, name: "reborn", cgroups: "/saigen-r1"} // the same number is not the same process
	after.processes["21 5"] = process{pid: 21, name: "qemu", command: "qemu -chardev socket,path=/run/saigen/r1/x"}
	after.processes["22 5"] = process{pid: 22, name: "saigen", command: "saigen logs r1", saigen: true}
	after.processes["23 5"] = process{pid: 23, name: "conmon", cgroups: "/saigen-r12/conmon"}
	after.processes["24 5"] = process{pid: 24, name: "editor", command: "vi notes"}
	after.namespaces["net:[7]"] = namespace{"net:[7]", conmon}
	after.namespaces["net:[8]"] = namespace{"net:[8]", after.processes["23 5"]}
	after.mounts["a"] = mount{"/state/runs/r1/scratch/it's", "overlay", "overlay"}
	after.mounts["b"] = mount{"/mnt", "nfs", "server:/r2"}
	after.links["5 saigen-r1"] = link{"saigen-r1", 5}
	after.links["6 eth1"] = link{"eth1", 6}
	after.cgroups["/sys/fs/cgroup/unified/saigen-r1"] = true
	after.cgroups["/sys/fs/cgroup/unified/saigen-xr1"] = true
	after.files["/run/saigen/r1/agent.sock"] = true
	after.files["/run/saigen/r2/agent.sock"] = true

	var got []string
	for _, l := range before.Left(after, OfRun("r1")) {
		got = append(got, l.String())
	}
	want := []string{
		"cgroup /sys/fs/cgroup/unified/saigen-r1; remove it with: rmdir /sys/fs/cgroup/unified/saigen-r1",
		"file /run/saigen/r1/agent.sock; remove it with: rm -rf /run/saigen/r1/agent.sock",
		"mount of overlay (overlay) on /state/runs/r1/scratch/it's; remove it with: umount '/state/runs/r1/scratch/it'\\''s'",
		"namespace net:[7] of process 20 (conmon); remove it with: kill -9 20",
		"network link saigen-r1; remove it with: ip link delete saigen-r1",
		"process 1 (reborn); remove it with: kill -9 1",
		"process 20 (conmon); remove it with: kill -9 20",
		"process 21 (qemu); remove it with: kill -9 21",
	}
	if !slices.Equal(got, want) {
		t.Errorf("left:\n%q\nwant:\n%q", got, want)
	}
	if all := before.Left(after, Scope{anything: true}); len(all) != 16 {
		t.Errorf("%d differences: %v", len(all), all)
	}
	after.processes["25 5"] = process{pid: 25, name: "stray", cgroups: "/\n/saigen-test-7\n"}
	after.processes["26 5"] = process{pid: 26, name: "other", cgroups: "/\n/saigen-test-77\n"}
	var strays []string
	for _, l := range before.Left(after, EverythingOf("saigen-test-7", "r1")) {
		if strings.HasPrefix(l.What, "process") {
			strays = append(strays, l.What)
		}
	}
	if want := []string{"process 1 (reborn)", "process 20 (conmon)", "process 21 (qemu)", "process 25 (stray)"}; !slices.Equal(strays, want) {
		t.Errorf("of everything in a cgroup and the run, left are %q, want %q", strays, want)
	}
	if none := after.Left(after, Scope{anything: true}); len(none) != 0 {
		t.Errorf("a host differs from itself: %v", none)
	}
}

func TestTakeSeesThisHost(t *testing.T) {
	dir := t.TempDir()
	before, err := Take(dir, filepath.Join(dir, "missing"))
	if err != nil {
		t.Fatal(err)
	}
	if len(before.processes) == 0 || len(before.mounts) == 0 || len(before.namespaces) == 0 || len(before.links) == 0 || len(before.cgroups) == 0 {
		t.Errorf("the inventory is %d processes, %d mounts, %d namespaces, %d links, %d cgroups", len(before.processes),
			len(before.mounts), len(before.namespaces), len(before.links), len(before.cgroups))
	}
	if err := os.WriteFile(filepath.Join(dir, "run-q7"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "echo up; read run-q7")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		_ = cmd.Wait()
	}()
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	after, err := Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	if left := before.Left(after, OfRun("q7")); len(left) != 2 {
		t.Errorf("left are %v", left)
	}
}
