package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

func testCache(t *testing.T) *Cache {
	return New(t.TempDir(), slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// goCache is a cache of its own whose Go builds keep what those of other tests keep, too.
func goCache(t *testing.T) *Cache {
	c := testCache(t)
	if err := os.Symlink(goKept, filepath.Join(c.dir, KindGo)); err != nil {
		t.Fatal(err)
	}
	return c
}

func quiet(string, ...any) {}

func TestDebianKey(t *testing.T) {
	base := lab.Image{Name: "host", Debian: "bookworm", Packages: []string{"podman", "uidmap"}}
	key := func(img lab.Image, role Role) string {
		t.Helper()
		d, err := newDebian(img, role)
		if err != nil {
			t.Fatal(err)
		}
		k, err := d.key(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return string(k)
	}
	want := key(base, Machine)
	same := base
	same.Name = "other"
	same.Packages = []string{"uidmap", "podman", "systemd", "podman"}
	same.Pos = lab.Pos{File: "x", Line: 3}
	if key(same, Machine) != want {
		t.Error("the name, the order of the packages and doubles change the key")
	}
	seen := map[string]string{want: "base"}
	for name, change := range map[string]func(*lab.Image) Role{
		"suite":       func(i *lab.Image) Role { i.Debian = "trixie"; return Machine },
		"snapshot":    func(i *lab.Image) Role { i.Snapshot = "20240601T000000Z"; return Machine },
		"one more":    func(i *lab.Image) Role { i.Packages = []string{"podman", "uidmap", "slirp4netns"}; return Machine },
		"one less":    func(i *lab.Image) Role { i.Packages = []string{"podman"}; return Machine },
		"a version":   func(i *lab.Image) Role { i.Packages = []string{"podman=4.3.1", "uidmap"}; return Machine },
		"the service": func(*lab.Image) Role { return Service },
	} {
		img := base
		role := change(&img)
		k := key(img, role)
		if other, ok := seen[k]; ok {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[k] = name
	}
}

func TestServiceHasNoInit(t *testing.T) {
	img := lab.Image{Name: "nginx", Debian: "bookworm", Packages: []string{"nginx-light"}}
	d, err := newDebian(img, Service)
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(d.arguments("", ""), " "); strings.Contains(all, "systemd,") || !strings.Contains(all, "--include=nginx-light ") {
		t.Errorf("arguments: %s", all)
	}
	files, err := d.files()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(files, []byte("saigen-agent")) {
		t.Error("a service image has the agent's unit")
	}
}

func TestBadImages(t *testing.T) {
	for _, c := range []struct {
		img  lab.Image
		role Role
		want string
	}{
		{lab.Image{}, Machine, "none of debian, go and oci"},
		{lab.Image{Debian: "bookworm"}, "", "no role"},
		{lab.Image{Debian: "../bookworm"}, Machine, "no Debian suite"},
		{lab.Image{Debian: "bookworm", Snapshot: "yesterday"}, Machine, "no snapshot"},
		{lab.Image{Debian: "bookworm", Packages: []string{"./evil.deb"}}, Machine, "no package"},
		{lab.Image{Debian: "bookworm", Packages: []string{"?all"}}, Machine, "no package"},
		{lab.Image{Debian: "bookworm", Packages: []string{"dbus-"}}, Machine, "no package"},
		{lab.Image{Debian: "bookworm", Packages: []string{"a,b"}}, Machine, "no package"},
		{lab.Image{Go: "../app"}, Service, "not inside the lab's folder"},
		{lab.Image{Go: "app"}, Machine, "has no init"},
		{lab.Image{OCI: "registry/nginx:latest"}, Service, "has no digest"},
	} {
		_, err := testCache(t).Build(t.Context(), c.img, c.role, t.TempDir(), quiet)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.img, err, c.want)
		}
	}
}

// goLab is a lab's folder with a Go program; go.mod is left out.
func goLab(t *testing.T) string {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "app", "main.go"), "package main\n\nimport _ \"embed\"\n\n//go:embed text/hello\nvar hello string\n\nfunc main() { print(hello) }\n")
	write(t, filepath.Join(dir, "app", "text", "hello"), "hello\n")
	return dir
}

func TestGoImage(t *testing.T) {
	dir, img := goLab(t), lab.Image{Name: "app", Go: "app"}
	build := func(c *Cache) Built {
		t.Helper()
		b, err := c.Build(t.Context(), img, Service, dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	c := goCache(t)
	first := build(c)
	if len(first.Packages) != 1 || first.Packages[0].Name != "go" {
		t.Errorf("what went in: %v", first.Packages)
	}
	var got []string
	f, err := os.Open(first.Tar)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s: owner %d:%d, time %v", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		got = append(got, fmt.Sprintf("%s %o", h.Name, h.Mode))
	}
	want := "app 755, dev/ 755, etc/ 755, etc/group 644, etc/hostname 644, etc/hosts 644, etc/passwd 644, etc/resolv.conf 644, proc/ 555, root/ 700, run/ 755, sys/ 555, tmp/ 1777"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("the image holds\n%s, want\n%s", s, want)
	}

	other := build(goCache(t))
	if other.Hash != first.Hash || !bytes.Equal(read(t, first.Tar), read(t, other.Tar)) {
		t.Error("the same source built twice gives two images")
	}

	write(t, filepath.Join(dir, "app", "main_test.go"), "package main\n")
	if again := build(c); !again.Cached || again.Hash != first.Hash {
		t.Error("a test file changes the image")
	}
	write(t, filepath.Join(dir, "app", "text", "hello"), "goodbye\n")
	if again := build(c); again.Cached || again.Hash == first.Hash {
		t.Error("an embedded file does not change the image")
	}
	all, err := c.List()
	if err != nil || len(all) < 2 || all[1].Kind != KindImage || len(all) > 2 && all[2].Kind == KindImage || all[0].Name != "app" || all[0].Bytes == 0 {
		t.Errorf("the cache lists %+v, %v", all, err)
	}
}

func TestGoImageOfALink(t *testing.T) {
	dir := goLab(t)
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "app", "text", "passwd")); err != nil {
		t.Fatal(err)
	}
	_, err := goCache(t).Build(t.Context(), lab.Image{Name: "app", Go: "app"}, Service, dir, quiet)
	if err == nil || !strings.Contains(err.Error(), "text/passwd is not a plain file") {
		t.Errorf("a link out of the lab: %v", err)
	}
}

func TestFailedBuildKeepsItsLog(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "app", "main.go"), "package main\n\nfunc main() { undefined() }\n")
	c := goCache(t)
	_, err := c.Build(t.Context(), lab.Image{Name: "app", Go: "app"}, Service, dir, quiet)
	in, ok := errors.AsType[*lab.InfraError](err)
	if !ok || !strings.HasSuffix(in.Error(), "go build: app/main.go:3:15: undefined: undefined") || !strings.Contains(in.Tail, "# app\n") {
		t.Fatalf("the error is %v, %+v", err, in)
	}
	if data := read(t, strings.TrimPrefix(in.Hint, "the whole log: ")); !strings.Contains(string(data), "undefined: undefined") {
		t.Errorf("the log is %q", data)
	}
	left, err := filepath.Glob(filepath.Join(c.dir, "images", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range left {
		if ext := filepath.Ext(name); ext != ".lock" && ext != ".log" {
			t.Errorf("left: %s", name)
		}
	}
}

func TestConcurrentBuild(t *testing.T) {
	dir, root := goLab(t), goCache(t).dir
	const n = 4
	var (
		wg    sync.WaitGroup
		built [n]Built
		errs  [n]error
	)
	for i := range n {
		wg.Go(func() { // one cache each, as n processes have
			built[i], errs[i] = New(root, slog.New(slog.DiscardHandler)).Build(t.Context(), lab.Image{Name: "app", Go: "app"}, Service, dir, quiet)
		})
	}
	wg.Wait()
	fresh := 0
	for i := range n {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if !built[i].Cached {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("built %d times", fresh)
	}
}

func TestKilledBuildIsRemoved(t *testing.T) {
	c := testCache(t)
	left := filepath.Join(c.dir, "images", "abc.tmp-123")
	write(t, filepath.Join(left, "root", "half"), "")
	dir, made, err := c.entry(t.Context(), "images", "abc", "it", quiet, func(tmp string, _ io.Writer) error {
		return writeFile(filepath.Join(tmp, "whole"), nil)
	})
	if err != nil || !made {
		t.Fatal(dir, made, err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what the killed build left is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "whole")); err != nil {
		t.Error(err)
	}
}

func TestProgress(t *testing.T) {
	var said []string
	p := newProgress(func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
	at := p.began
	p.now = func() time.Time { return at }
	for _, line := range strings.Split(strings.TrimSpace(`
Get:1 http://deb.example.org/debian bookworm InRelease [151 kB]
I: downloading packages with apt...
0 upgraded, 120 newly installed, 0 to remove and 0 not upgraded.
Get:1 http://deb.example.org/debian bookworm/main amd64 foo
Unpacking libc6:amd64 (2.36-9) ...
+6

Setting up libc6:amd64 (2.36-9) ...
+6
Setting up systemd (252) ...
1 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.
I: creating tarball...`), "\n") {
		if line == "+6" {
			at = at.Add(6 * time.Second)
			continue
		}
		p.line(line)
	}
	want := "reading Debian's package lists|downloading the base system|installing 120 packages|1 of 120 packages are unpacked, 6 s so far|" +
		"2 of 120 packages are set up, 12 s so far|packing, after 12 s"
	if got := strings.Join(said, "|"); got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
