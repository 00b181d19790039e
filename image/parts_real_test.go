package image

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// TestRealModules builds one program against three versions of a module, of which the first has a leak that a lab is about.
func TestRealModules(t *testing.T) {
	c, say := realCache(t), saying(t)
	dir := t.TempDir()
	write(t, dir+"/agent/main.go", `package main

import (
	"context"

	"github.com/go-zeromq/zmq4"
)

func main() { _ = zmq4.NewRep(context.Background()).Close() }
`)
	write(t, dir+"/agent/go.mod", "module agent\n\ngo 1.21\n\nrequire github.com/go-zeromq/zmq4 v0.17.0\n")
	img := lab.Image{Name: "host", Debian: "bookworm", Go: "agent"}
	for _, version := range []string{"v0.15.0", "v0.16.0", "v0.17.0"} {
		img.Modules = map[string]string{"github.com/go-zeromq/zmq4": version}
		b, err := c.Build(t.Context(), img, Machine, dir, say)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(b.Packages, Package{Name: "github.com/go-zeromq/zmq4", Version: version, From: "go"}) {
			t.Errorf("%s: the image has %v", version, b.Packages[len(b.Packages)-6:])
		}
		if out := runs(t, b.Tar, "usr/local/bin/agent"); out != "" {
			t.Errorf("%s: the program prints %q", version, out)
		}
	}
}

// TestRealC compiles with the compilers of two suites, which are not in the images.
func TestRealC(t *testing.T) {
	c, say := realCache(t), saying(t)
	before := mounts(t)
	dir := t.TempDir()
	write(t, dir+"/preload/here.c", "#define _GNU_SOURCE\n#include <stdio.h>\n__attribute__((constructor)) static void here(void) { fprintf(stderr, \"loaded\\n\"); }\n")
	for suite, gcc := range map[string]string{"bookworm": "gcc-12", "trixie": "gcc-14"} {
		img := lab.Image{Name: "it", Debian: suite, C: []lab.CProgram{
			{Output: "/usr/local/lib/here.so", Source: "preload/here.c", Flags: []string{"-shared", "-fPIC", "-Wall", "-Werror"}},
		}}
		b, err := c.Build(t.Context(), img, Service, dir, say)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(b.Packages, func(p Package) bool { return p.Name == gcc && p.From == "c" && p.Version != "" }) {
			t.Errorf("%s: the image does not say which %s compiled it: %v", suite, gcc, b.Packages)
		}
		if slices.ContainsFunc(b.Packages, func(p Package) bool {
			return strings.HasPrefix(p.Name, "gcc-1") && p.From == "" && p.Name != gcc+"-base"
		}) {
			t.Errorf("%s: the compiler is in the image", suite)
		}
		root, err := c.ServiceStore(t.Context(), []Built{b}, say)
		if err != nil {
			t.Fatal(err)
		}
		out := readOnlyStore(t, root, "run", "--rm", "--network=none", "--cgroups=disabled", "--env=LD_PRELOAD=/usr/local/lib/here.so", "localhost/it:latest", "/usr/bin/true")
		if !strings.Contains(out, "loaded") {
			t.Errorf("%s: the library was not loaded: %q", suite, out)
		}
	}
	if after := mounts(t); after != before {
		t.Errorf("mounts before:\n%s\nafter:\n%s", before, after)
	}
}

// TestRealCAsUser compiles as a normal user, whose compiler is root of a namespace of its own only.
func TestRealCAsUser(t *testing.T) {
	program := lab.CProgram{Output: "/usr/local/bin/it", Source: "it.c"}
	img := lab.Image{Name: "it", Debian: "bookworm"}
	if cache := os.Getenv("SAIGEN_IMAGE_CACHE"); os.Getenv("SAIGEN_IMAGE_AS_USER") != "" {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "it.c"), "#include <stdio.h>\nint main(void) { puts(\"compiled\"); return 0; }\n")
		img.C = []lab.CProgram{program}
		b, err := New(cache, slog.New(slog.DiscardHandler)).Build(t.Context(), img, Service, dir, saying(t))
		if err != nil {
			t.Fatal(err, tailOf(err))
		}
		if out := runs(t, b.Tar, "usr/local/bin/it"); out != "compiled\n" {
			t.Errorf("the program prints %q", out)
		}
		return
	}
	c, say := realCache(t), saying(t)
	dir := userFolder(t)
	p, err := c.newC(program, img, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []lab.Image{img, p.compiler.img} {
		b, err := c.Build(t.Context(), one, Service, "", say)
		if err != nil {
			t.Fatal(err)
		}
		copyImage(t, filepath.Dir(b.Tar), filepath.Join(dir, "cache", "images"))
	}
	asUser(t, dir, "^TestRealCAsUser$", "SAIGEN_IMAGE_AS_USER=1", "SAIGEN_IMAGE_CACHE="+filepath.Join(dir, "cache"))
}

// TestRealGoAsUser compiles a Go program as a normal user, in whose namespace nobody is one of his subordinate ids.
func TestRealGoAsUser(t *testing.T) {
	if cache := os.Getenv("SAIGEN_IMAGE_CACHE"); os.Getenv("SAIGEN_IMAGE_AS_USER") != "" {
		c, dir := New(cache, slog.New(slog.DiscardHandler)), goLab(t)
		for range 2 { // what is kept is used again
			write(t, filepath.Join(dir, "app", "text", "hello"), "hello "+t.TempDir()+"\n")
			b, err := c.Build(t.Context(), lab.Image{Name: "app", Go: "app"}, Service, dir, saying(t))
			if err != nil {
				t.Fatal(err, tailOf(err))
			}
			if out := runs(t, b.Tar, "app"); !strings.HasPrefix(out, "hello ") {
				t.Errorf("the program prints %q", out)
			}
		}
		// What another user owns goes with the cache, too.
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if removed, err := c.Prune(t.Context(), 0); err != nil || !slices.ContainsFunc(removed, func(e Entry) bool { return e.Kind == KindGo }) {
			t.Errorf("%v, %v", removed, err)
		}
		return
	}
	realCache(t)
	dir := userFolder(t)
	asUser(t, dir, "^TestRealGoAsUser$", "SAIGEN_IMAGE_AS_USER=1", "SAIGEN_IMAGE_CACHE="+filepath.Join(dir, "cache"))
}

// TestRealCReachesNothing compiles sources that want what is the host's.
func TestRealCReachesNothing(t *testing.T) {
	c, say := realCache(t), saying(t)
	dir := t.TempDir()
	secret := t.TempDir() + "/secret"
	write(t, secret, "#error secret\n")
	for name, one := range map[string]struct{ source, want string }{
		"wrong":   {"int main(void) {\n return missing;\n}\n", "src/wrong.c:2:9: error: ‘missing’ undeclared"},
		"include": {"#include \"" + secret + "\"\n", "include.c:1:10: fatal error: " + secret + ": No such file or directory"},
		"embed":   {"__asm__(\".incbin \\\"" + secret + "\\\"\");\n", "file not found: " + secret},
		"shadow":  {"__asm__(\".incbin \\\"/etc/shadow\\\"\");\n", "file not found: /etc/shadow"},
		"process": {"#include \"/proc/1/environ\"\n", "No such file or directory"},
	} {
		write(t, dir+"/src/"+name+".c", one.source)
		img := lab.Image{Name: "it", Debian: "bookworm", C: []lab.CProgram{{Output: "/usr/local/bin/it", Source: lab.Path("src/" + name + ".c"), Flags: []string{"-c"}}}}
		_, err := c.Build(t.Context(), img, Service, dir, say)
		if err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%s: %v, want %q\n%s", name, err, one.want, tailOf(err))
		}
	}
}

// TestRealNPM installs packages from the registry, for which this host needs no npm, and runs one with the suite's node.
func TestRealNPM(t *testing.T) {
	c, say := realCache(t), saying(t)
	dir := t.TempDir()
	write(t, dir+"/site/package.json", `{"name": "site", "dependencies": {"semver": "7.6.3"}}`)
	write(t, dir+"/site/package-lock.json", `{"lockfileVersion": 3, "packages": {
		"": {"name": "site", "dependencies": {"semver": "7.6.3"}},
		"node_modules/semver": {"version": "7.6.3", "bin": {"semver": "bin/semver.js"},
			"integrity": "sha512-oVekP1cKtI+CTDvHWYFUcMtsK/00wmAEfyqKfNdARm8u1wNVhSgaX7A8d4UuIlUI5e84iEwOhs7ZPYRmzU9U6A=="}}}`)
	img := lab.Image{Name: "site", Debian: "bookworm", Packages: []string{"nodejs"}, NPM: "site"}
	b, err := c.Build(t.Context(), img, Service, dir, say)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(b.Packages, Package{Name: "semver", Version: "7.6.3", From: "npm"}) {
		t.Errorf("the image does not say that it has semver")
	}
	root, err := c.ServiceStore(t.Context(), []Built{b}, say)
	if err != nil {
		t.Fatal(err)
	}
	out := readOnlyStore(t, root, "run", "--rm", "--network=none", "--cgroups=disabled", "--workdir=/srv/site", "localhost/site:latest", "node_modules/.bin/semver", "-i", "minor", "1.2.3")
	if out != "1.3.0\n" {
		t.Errorf("semver printed %q", out)
	}
}

// TestRealCPlugin has a program of the lab run in the compiler, as a plugin whose source is the "C file".
func TestRealCPlugin(t *testing.T) {
	c, say := realCache(t), saying(t)
	dir := t.TempDir()
	secret := t.TempDir() + "/secret"
	write(t, secret, "secret\n")
	write(t, dir+"/plugin.c", `#define _GNU_SOURCE
#define SECRET "`+secret+`"
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
__attribute__((constructor)) static void here(void) {
	struct if_nameindex *cards = if_nameindex();
	int n = 0;
	while (cards && cards[n].if_index) n++;
	int much = open("/build/made/much", O_WRONLY | O_CREAT, 0600), more = open("/build/made/more", O_WRONLY | O_CREAT, 0600), third = open("/build/made/third", O_WRONLY | O_CREAT, 0600);
	static char block[1 << 20];
	int written = 0;
	signal(SIGXFSZ, SIG_IGN);
	while (write(much, block, sizeof block) > 0 || write(more, block, sizeof block) > 0 || write(third, block, sizeof block) > 0) written++;
	int elsewhere = open("/tmp/x", O_WRONLY | O_CREAT, 0600) >= 0 || open("/var/tmp/x", O_WRONLY | O_CREAT, 0600) >= 0;
	fprintf(stderr, "here: written %d MiB, elsewhere %d, user %d, setuid %d, chroot %d, mount %d, mknod %d, user namespace %d, su %d, up %d, secret %d, write %d, cards %d\n",
		written, elsewhere, getuid(), setuid(0), chroot("/tmp"), mount("none", "/tmp", "tmpfs", 0, ""), mknod("/tmp/x", S_IFBLK, 0x800), unshare(CLONE_NEWUSER),
		access("/root", R_OK), open("../../../../.." SECRET, O_RDONLY), open(SECRET, O_RDONLY), open("/usr/bin/cat", O_WRONLY), n);
	_exit(1);
}
`)
	img := lab.Image{Name: "it", Debian: "bookworm", C: []lab.CProgram{{Output: "/usr/local/lib/it.so", Source: "plugin.c", Flags: []string{"-shared", "-fPIC"}}}}
	b, err := c.Build(t.Context(), img, Service, dir, say)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/evil.c", string(unpacked(t, b.Tar)["usr/local/lib/it.so"]))
	img.C = []lab.CProgram{{Output: "/usr/local/bin/it", Source: "evil.c", Flags: []string{"-fplugin=/build/evil.c"}}}
	_, err = c.Build(t.Context(), img, Service, dir, say)
	const want = "here: written 512 MiB, elsewhere 0, user 65534, setuid -1, chroot -1, mount -1, mknod -1, user namespace -1, su -1, up -1, secret -1, write -1, cards 1"
	if err == nil || !strings.Contains(tailOf(err), want) {
		t.Errorf("the plugin: %v\n%s\nwant %s", err, tailOf(err), want)
	}
}
