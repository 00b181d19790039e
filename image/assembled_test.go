package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// unpacked is what the files of an archive hold; of a link, where it leads.
func unpacked(t *testing.T, name string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(read(t, name))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if all[clean(h.Name)] != nil {
			t.Errorf("%s is in the archive twice", h.Name)
		}
		all[clean(h.Name)] = append(data, h.Linkname...)
	}
}

// debianInCache puts a small Debian image into a cache, as mmdebstrap would have made it.
func debianInCache(t *testing.T, c *Cache, img lab.Image, role Role) {
	t.Helper()
	d, err := newDebian(img, role)
	if err != nil {
		t.Fatal(err)
	}
	key, err := d.key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(key)
	dir := filepath.Join(c.dir, "images", hex.EncodeToString(sum[:]))
	rootfs, err := archive([]file{
		{name: "./", mode: 0o755}, {name: "./bin", link: "usr/bin"}, {name: "./etc/", mode: 0o755}, {name: "./etc/hostname", mode: 0o644, data: []byte("here\n")},
		{name: "./usr/", mode: 0o755}, {name: "./usr/bin/", mode: 0o755}, {name: "./usr/local/", mode: 0o755}, {name: "./usr/local/bin/", mode: 0o755},
	}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, tarName), string(rootfs)+strings.Repeat("\x00", 7*1024)) // tar fills up its last record
	if err := writeInfo(dir, info{Image: img, Role: role, Packages: []Package{{Name: "libc6", Version: "2.36", Arch: "amd64"}}}); err != nil {
		t.Fatal(err)
	}
}

func TestGoInDebian(t *testing.T) {
	for _, role := range []Role{Machine, Service} {
		c, dir := testCache(t), goLab(t)
		img := lab.Image{Name: "host", Debian: "bookworm", Packages: []string{"podman"}}
		debianInCache(t, c, img, role)
		base, err := c.Build(t.Context(), img, role, dir, quiet)
		if err != nil || !base.Cached {
			t.Fatalf("the base: %v, cached %v", err, base.Cached)
		}
		img.Go = "app"
		b, err := c.Build(t.Context(), img, role, dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if b.Cached || b.Hash == base.Hash {
			t.Errorf("%s: the image with a program is the one without", role)
		}
		if got := names(b.Packages); !slices.Equal(got, []string{"libc6", "go"}) || b.Packages[1].From != "go" {
			t.Errorf("%s: the image has %v", role, b.Packages)
		}
		if out := runs(t, b.Tar, "usr/local/bin/app"); out != "hello\n" {
			t.Errorf("%s: the program prints %q", role, out)
		}
		if all := unpacked(t, b.Tar); string(all["etc/hostname"]) != "here\n" || string(all["bin"]) != "usr/bin" {
			t.Errorf("%s: what Debian's packages brought has changed", role)
		}
		if changes := strings.Join(b.changes(), " "); strings.Contains(changes, "/app") {
			t.Errorf("%s: a container of it starts with %s", role, changes)
		}
		if now, err := added(b.Packages, []Package{{Name: "libc6", Version: "2.36", Arch: "amd64"}, {Name: "sudo", Version: "1"}}); err != nil || len(now) != 1 {
			t.Errorf("%s: a box of it adds %v, %v", role, now, err)
		}
	}
}

func TestLayer(t *testing.T) {
	c, img := testCache(t), lab.Image{Name: "host", Debian: "bookworm"}
	debianInCache(t, c, img, Service)
	base, err := c.Build(t.Context(), img, Service, "", quiet)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.tar")
	l, err := openLayer(base.Tar, out)
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string) error { return l.file(name, 0o644, 1, strings.NewReader("x")) }
	for name, want := range map[string]string{
		"/etc/hostname": "/etc/hostname into the image: it is there already", "etc/hostname/x": "below /etc/hostname: in the image that is a file",
		"/bin/x": "below /bin: in the image that is a link to usr/bin", "../../etc/../usr/bin": "it is there already", "usr/bin/": "there already",
	} {
		if err := add(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if err := errors.Join(add("/srv/site/a"), add("srv/site/b"), l.link("srv/site/c", "a"), add("usr/bin/x"), l.close()); err != nil {
		t.Fatal(err)
	}
	all := unpacked(t, out)
	var got []string
	for name := range all {
		got = append(got, name)
	}
	slices.Sort(got)
	if want := " bin etc etc/hostname srv srv/site srv/site/a srv/site/b srv/site/c usr usr/bin usr/bin/x usr/local usr/local/bin"; strings.Join(got, " ") != want {
		t.Errorf("the archive holds %q", got)
	}
	if err := os.Truncate(base.Tar, fileSize(t, base.Tar)-8*1024); err != nil {
		t.Fatal(err)
	}
	if _, err := openLayer(base.Tar, out); err == nil {
		t.Error("an archive without an end is taken")
	}
}
