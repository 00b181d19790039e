package qemu

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOverlay(t *testing.T) {
	name := filepath.Join(t.TempDir(), "root.qcow2")
	for _, bad := range []int64{0, -1, 1 << 50} {
		if newOverlay(name, bad) == nil {
			t.Errorf("there is an overlay for %d bytes", bad)
		}
	}
	if err := newOverlay(name, 16<<30); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != 4<<16 || !bytes.HasPrefix(data, []byte("QFI\xfb\x00\x00\x00\x03")) {
		t.Errorf("%d bytes, beginning with %q", len(data), data[:8])
	}
	tool, err := exec.LookPath("qemu-img")
	if err != nil {
		t.Skip("no qemu-img here to look at it")
	}
	out, err := exec.Command(tool, "check", name).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No errors were found") {
		t.Errorf("qemu-img says %s, %v", out, err)
	}
	out, err = exec.Command(tool, "info", name).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "virtual size: 16 GiB") {
		t.Errorf("qemu-img says %s, %v", out, err)
	}
}

func TestCopySparse(t *testing.T) {
	dir := t.TempDir()
	from, err := newMemory(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for at, text := range map[int64]string{0: "first", 5<<20 + 4095: "across two pages", 64<<20 - 4: "last"} {
		if _, err := from.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := from.WriteAt(make([]byte, 8<<20), 10<<20); err != nil { // cleared memory
		t.Fatal(err)
	}
	name := filepath.Join(dir, "ram")
	if err := copySparse(name, from); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 64<<20)
	if _, err := from.ReadAt(want, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the copy is another")
	}
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	if used := st.Blocks * 512; used > 1<<20 {
		t.Errorf("it takes %d bytes", used)
	}
	if err := copySparse(name, from); err == nil {
		t.Error("a file was written over")
	}
}

// A snapshot that goes with its run is removed by whoever undoes it, whether it is there, half made, or not yet begun.
func TestUndoSnapshot(t *testing.T) {
	cache := t.TempDir()
	folder := filepath.Join(cache, "snapshots", "abc")
	for _, made := range []string{folder, folder + ".tmp-7", ""} {
		if made != "" {
			if err := os.MkdirAll(filepath.Join(made, "sub"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := removeSnapshot(t.Context(), folder); err != nil {
			t.Errorf("with %q: %v", made, err)
		}
		if left, err := os.ReadDir(filepath.Dir(folder)); len(left) > 0 && err == nil {
			t.Errorf("with %q: %v is left", made, left)
		}
	}
	for _, bad := range []string{"snapshots/abc", filepath.Join(cache, "images", "abc")} {
		if err := removeSnapshot(t.Context(), bad); err == nil {
			t.Errorf("%q was removed", bad)
		}
	}
}
