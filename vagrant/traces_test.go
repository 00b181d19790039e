package vagrant

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Where libvirt does not run, what it would know is in its files.
func TestDefined(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"qemu/saigen-r1_server.xml", "qemu/other.xml", "qemu/networks/saigen-r1.xml", "qemu/networks/default.xml", "storage/saigen-r1.xml"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []Trace{
		{"domain", "saigen-r1_server", "rm " + filepath.Join(dir, "qemu/saigen-r1_server.xml")},
		{"network", "saigen-r1", "rm " + filepath.Join(dir, "qemu/networks/saigen-r1.xml")},
		{"storage pool", "saigen-r1", "rm " + filepath.Join(dir, "storage/saigen-r1.xml")},
	}
	if got := defined(dir); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if listens(dir) {
		t.Error("nothing listens there")
	}
	if err := os.WriteFile(filepath.Join(dir, "libvirt-sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !listens(dir) {
		t.Error("the socket is not seen")
	}
}
