package qemu

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, words []string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	got := strings.Join(words, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test ./qemu -update writes it anew\n%s", file, got)
	}
}

func TestArguments(t *testing.T) {
	v := vm{
		name: "saigen r server", accel: accelTCG, cpus: 2, memory: 1 << 30, host: "server",
		kernel: image.Kernel{Image: "/cache/vmlinuz", Initrd: "/cache/initrd"},
		ram:    "/proc/self/fd/5", shared: true,
		root: "/scratch/a,b/root.qcow2", base: "/cache/disk.img", agent: "/cache/agent.img", services: "/cache/services.img",
	}
	golden(t, "boot", append(processArguments("/run/saigen/r/server"), v.arguments()...))
	v.accel, v.number, v.network = accelKVM, 1, "../.network-1"
	v.ram, v.shared, v.saved, v.incoming = "/cache/server.ram", false, "/cache/server.qcow2", true
	golden(t, "restore", v.arguments())
	golden(t, "network", hubArguments([]string{"server", "client"}))
}

func TestHosts(t *testing.T) {
	one := &lab.Lab{Machines: []lab.Machine{{Name: "server"}}}
	two := &lab.Lab{Machines: []lab.Machine{{Name: "server"}, {Name: "client"}}}
	if got := hosts(one, "server"); got != "127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\tserver\n" {
		t.Errorf("one machine: %q", got)
	}
	if got := hosts(two, "client"); got != "198.18.0.11\tserver\n198.18.0.12\tclient\n127.0.0.1\tlocalhost\n::1\tlocalhost\n" {
		t.Errorf("two machines: %q", got)
	}
}

// Every field of the key makes another snapshot.
func TestSnapshotKey(t *testing.T) {
	l := &lab.Lab{Machines: []lab.Machine{{Name: "server", Memory: "1.5GiB"}}}
	all := map[string]parts{"server": {
		kernel: image.Kernel{Hash: "k"}, disk: image.Disk{Hash: "d"}, agent: image.Disk{Hash: "a"}, services: image.Disk{Hash: "s"},
	}}
	d := New(Options{})
	d.accel, d.version = func() string { return accelTCG }, func() (string, error) { return "QEMU 7.2", nil }
	d.processor = func() (string, error) { return "EPYC", nil }
	k, err := d.snapshotKey(l, all, "lab")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := d.snapshotKey(l, all, "lab"); again.hash() != k.hash() {
		t.Error("the same is not the same")
	}
	seen := map[string]string{k.hash(): "nothing"}
	changed := func(what string) {
		if was := seen[k.hash()]; was != "" {
			t.Errorf("a change of %s is one of %s", what, was)
		}
		seen[k.hash()] = what
	}
	fields := func(v reflect.Value, at string) {
		for i := range v.NumField() {
			f := v.Field(i)
			old := reflect.ValueOf(f.Interface())
			switch f.Kind() {
			case reflect.String:
				if f.String() == "" {
					t.Errorf("%s%s is empty", at, v.Type().Field(i).Name)
				}
				f.SetString(f.String() + "!")
			case reflect.Int, reflect.Int64:
				if f.Int() == 0 {
					t.Errorf("%s%s is 0", at, v.Type().Field(i).Name)
				}
				f.SetInt(f.Int() + 1)
			default:
				continue
			}
			changed(at + v.Type().Field(i).Name)
			f.Set(old)
		}
	}
	fields(reflect.ValueOf(&k).Elem(), "")
	fields(reflect.ValueOf(&k.Machines[0]).Elem(), "machine's ")
	k.Machines = append(k.Machines, k.Machines[0])
	changed("machines")
	if len(seen) != 18 {
		t.Errorf("%d changes were looked at", len(seen)-1)
	}
}

func TestVersion(t *testing.T) {
	for says, fits := range map[string]bool{
		"QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright": true,
		"QEMU emulator version 10.0.8":                                              true, "QEMU emulator version 7.1.0": false, "QEMU emulator version 5.2.0": false, "something else": false,
	} {
		if err := checkVersion(says); (err == nil) != fits {
			t.Errorf("%q: %v", says, err)
		}
	}
}

func TestRequirements(t *testing.T) {
	dir := t.TempDir()
	for _, r := range Requirements(filepath.Join(dir, "state"), filepath.Join(dir, "run")) {
		if r.Fix == "" || r.Needed != needed {
			t.Errorf("%s: needed by %q, fix %q", r.Name, r.Needed, r.Fix)
		}
		if err := r.Check(t.Context()); err != nil {
			t.Logf("%s: %v", r.Name, err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if checkWritable(filepath.Join(file, "run")) == nil {
		t.Error("a folder in a file is writable")
	}
}
