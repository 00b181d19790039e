package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

func TestHashSparse(t *testing.T) {
	dir := t.TempDir()
	at := 0
	of := func(size int64, parts map[int64]string) string {
		t.Helper()
		at++
		name := filepath.Join(dir, string(rune('a'+at)))
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		for off, text := range parts {
			if _, err := f.WriteAt([]byte(text), off); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
			t.Fatal(err)
		}
		hash, err := hashSparse(name)
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	zeros := strings.Repeat("\x00", 1<<20)
	want := of(1<<40, map[int64]string{5 << 20: "here", 1 << 30: "there"})
	if of(1<<40, map[int64]string{5 << 20: "here", 1 << 30: "there", 9 << 20: zeros}) != want {
		t.Error("zeros that are stored are not the same as a hole")
	}
	seen := map[string]string{want: "the first"}
	for name, hash := range map[string]string{
		"another size":  of(1<<40+4096, map[int64]string{5 << 20: "here", 1 << 30: "there"}),
		"another text":  of(1<<40, map[int64]string{5 << 20: "Here", 1 << 30: "there"}),
		"another place": of(1<<40, map[int64]string{6 << 20: "here", 1 << 30: "there"}),
		"no text":       of(1<<40, nil),
		"its end":       of(1<<40, map[int64]string{5 << 20: "here", 1 << 30: "there", 1<<40 - 1: "x"}),
	} {
		if other, ok := seen[hash]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[hash] = name
	}
}

func TestModuleOrder(t *testing.T) {
	m := &modules{version: "6.1", data: map[string][]byte{"modules.builtin": []byte("kernel/fs/ext4/ext4.ko\n")}}
	m.depends = parseDepends([]byte("kernel/virtio/virtio_pci.ko: kernel/virtio/legacy.ko kernel/virtio/virtio.ko kernel/virtio/ring.ko\n" +
		"kernel/virtio/legacy.ko:\nkernel/virtio/virtio.ko: kernel/virtio/ring.ko\nkernel/virtio/ring.ko:\nkernel/char/virtio-rng.ko: kernel/virtio/virtio.ko kernel/virtio/ring.ko\n"))
	order, err := m.order([]string{"virtio_pci", "ext4", "virtio_rng"})
	if err != nil {
		t.Fatal(err)
	}
	want := "kernel/virtio/ring.ko kernel/virtio/virtio.ko kernel/virtio/legacy.ko kernel/virtio/virtio_pci.ko kernel/char/virtio-rng.ko"
	if got := strings.Join(order, " "); got != want {
		t.Errorf("order %q, want %q", got, want)
	}
	if _, err := m.order([]string{"overlay"}); err == nil || err.Error() != "the kernel 6.1 has no module overlay" {
		t.Errorf("a module that is missing: %v", err)
	}
}

// TestInitrd reads the archive as the kernel does.
func TestInitrd(t *testing.T) {
	m := &modules{version: "6.1", data: map[string][]byte{}, depends: map[string][]string{}}
	for _, name := range initModules {
		m.depends["kernel/"+name+".ko"] = nil
		m.data["kernel/"+name+".ko"] = []byte("module " + name)
	}
	data, err := makeInitrd(m, []byte("busybox"))
	if err != nil {
		t.Fatal(err)
	}
	field := func(i int) int {
		n := 0
		for _, c := range data[6+8*i : 14+8*i] {
			n = n*16 + strings.IndexByte("0123456789abcdef", c)
		}
		return n
	}
	align := func(n int) int { return (n + 3) &^ 3 }
	found := map[string]string{}
	for {
		if len(data) < 110 || string(data[:6]) != "070701" {
			t.Fatalf("no header: %.20q", data)
		}
		size, nameSize := field(6), field(11)
		name := string(data[110 : 110+nameSize-1])
		if name == "TRAILER!!!" {
			break
		}
		body := align(110 + nameSize)
		found[name] = string(data[body : body+size])
		data = data[align(body+size):]
	}
	for name, want := range map[string]string{
		"init": initScript, "bin/busybox": "busybox", "dev/console": "", "root": "", "modules/tun.ko": "module tun",
		"modules/order": strings.Join(initModules, ".ko\n") + ".ko\n",
	} {
		if got, ok := found[name]; !ok || got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

func TestDiskOfAService(t *testing.T) {
	c := testCache(t)
	_, err := c.MachineDisk(t.Context(), Built{Image: lab.Image{Name: "nginx"}, Role: Service}, Kernel{}, quiet)
	if err == nil || err.Error() != "cannot make the disk of image.nginx: it is no machine" {
		t.Errorf("a service's disk: %v", err)
	}
}

func TestAddedPackages(t *testing.T) {
	image := []Package{{Name: "libc6", Version: "1", Arch: "amd64"}, {Name: "libssl3", Version: "3.0.1", Arch: "amd64"}}
	for _, c := range []struct {
		now  []Package
		want string
	}{
		{[]Package{{Name: "libc6", Version: "1", Arch: "amd64"}, {Name: "libssl3", Version: "3.0.1", Arch: "amd64"}, {Name: "sudo", Version: "1.9", Arch: "amd64"}}, ""},
		{[]Package{{Name: "libc6", Version: "1", Arch: "amd64"}, {Name: "libssl3", Version: "3.0.2", Arch: "amd64"}, {Name: "sudo", Version: "1.9", Arch: "amd64"}}, "the image has libssl3 3.0.1, but what a box adds needs 3.0.2"},
		{[]Package{{Name: "libc6", Version: "1", Arch: "amd64"}, {Name: "sudo", Version: "1.9", Arch: "amd64"}}, "removes the package libssl3"},
	} {
		got, err := added(image, c.now)
		switch {
		case c.want == "" && (err != nil || len(got) != 1 || got[0].Name != "sudo"):
			t.Errorf("added %v, %v", got, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("the error is %v, want %q", err, c.want)
		}
	}
}

func TestUnknownProvider(t *testing.T) {
	_, err := testCache(t).Box(t.Context(), Built{Image: lab.Image{Name: "host"}, Role: Machine}, Kernel{}, "virtualbox", quiet)
	var infra *lab.InfraError
	if !errors.As(err, &infra) || infra.Hint == "" || !strings.Contains(err.Error(), `no boxes for Vagrant's provider "virtualbox", only for libvirt`) {
		t.Errorf("the error is %v", err)
	}
}

func TestWriteBox(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"k", "i", "d"} {
		write(t, filepath.Join(dir, name), "the "+name)
	}
	k := Kernel{Image: filepath.Join(dir, "k"), Initrd: filepath.Join(dir, "i")}
	in := boxFile{Image: "abc", Kernel: "6.1", Added: []Package{{Name: "sudo", Version: "1.9", Arch: "amd64"}}}
	out := filepath.Join(dir, boxName)
	if err := writeBox(boxFormats()[0], k, in, filepath.Join(dir, "d"), out); err != nil {
		t.Fatal(err)
	}
	parts := boxParts(t, bytes.NewReader(read(t, out)))
	for name, want := range map[string]string{"vmlinuz": "the k", "initrd": "the i", "box.img": "the d"} {
		if string(parts[name]) != want {
			t.Errorf("%s holds %q", name, parts[name])
		}
	}
	var metadata struct {
		Provider, Format string
		VirtualSize      int `json:"virtual_size"`
		Saigen           boxFile
	}
	if err := json.Unmarshal(parts["metadata.json"], &metadata); err != nil {
		t.Fatal(err)
	}
	if metadata.Provider != "libvirt" || metadata.Format != "qcow2" || metadata.VirtualSize != 16 || len(metadata.Saigen.Added) != 1 {
		t.Errorf("metadata: %+v", metadata)
	}
	if text := string(parts["Vagrantfile"]); !strings.Contains(text, "    v.kernel = File.expand_path('vmlinuz', __dir__)\n") || strings.Count(text, "do |") != strings.Count(text, "end\n") {
		t.Errorf("Vagrantfile:\n%s", text)
	}
}

func boxParts(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		if parts[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
