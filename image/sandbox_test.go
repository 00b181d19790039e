package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// What a lab's Go source can say to reach something of the host is refused, or does not find it.
func TestGoReachesNothing(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "#error secret\n")
	t.Setenv("GOPROXY", "file://"+t.TempDir())
	t.Setenv("SAIGEN_TEST_SECRET", "hunter2")
	const program = "package main\n\nfunc main() {}\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a file of the host in assembler": {map[string]string{"main.go": program, "x_amd64.s": "#include \"" + secret + "\"\n", "x_arm64.s": "#include \"" + secret + "\"\n"}, "no such file or directory"},
		"C":                               {map[string]string{"main.go": "package main\n\n// #include \"" + secret + "\"\nimport \"C\"\n\nfunc main() {}\n"}, "build constraints exclude all Go files"},
		"a file above, embedded":          {map[string]string{"main.go": "package main\n\nimport _ \"embed\"\n\n//go:embed ../../etc/passwd\nvar x string\n\nfunc main() { print(x) }\n"}, "invalid pattern syntax"},
		"a module above":                  {map[string]string{"main.go": "package main\n\nimport \"example.com/x\"\n\nfunc main() { print(x.X) }\n", "go.mod": "module app\n\ngo 1.21\n\nrequire example.com/x v1.0.0\n\nreplace example.com/x => ../../../../../.." + filepath.Dir(secret) + "\n"}, "does not exist"},
		"another toolchain":               {map[string]string{"main.go": program, "go.mod": "module app\n\ngo 9.99\n\ntoolchain go9.99.1\n"}, "GOTOOLCHAIN=local"},
		"a toolchain as a program":        {map[string]string{"main.go": program, "go.mod": "module app\n\ngo 1.21\n\ntoolchain ../evil\n"}, "invalid toolchain version"},
		"a module from git":               {map[string]string{"main.go": "package main\n\nimport _ \"127.0.0.1/x.git\"\n\nfunc main() {}\n", "go.mod": "module app\n\ngo 1.21\n\nrequire 127.0.0.1/x.git v1.0.0\n"}, "missing go.sum entry"},
	} {
		dir := t.TempDir()
		for file, text := range c.files {
			write(t, filepath.Join(dir, "app", file), text)
		}
		_, err := goCache(t).Build(t.Context(), lab.Image{Name: "app", Go: "app"}, Service, dir, quiet)
		if err == nil || !strings.Contains(err.Error()+tailOf(err), c.want) {
			t.Errorf("%s: %v, want %q\n%s", name, err, c.want, tailOf(err))
		}
	}
}

// A user who has modules from no proxy is told; nothing is asked of the address that a module has.
func TestGoModulesDirect(t *testing.T) {
	t.Setenv("GOPROXY", "direct")
	dir := libProgram(t, "lib")
	_, err := goCache(t).Build(t.Context(), lab.Image{Name: "agent", Go: "agent"}, Service, dir, quiet)
	if err == nil || !strings.Contains(err.Error(), "modules come from a module proxy only") {
		t.Errorf("%v", err)
	}
}

// hostileGo is a go command that does what a compiler could that a lab has taken over.
const hostileGo = `package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

func try(what string, err error) {
	if err == nil {
		fmt.Fprintln(os.Stderr, "ESCAPED:", what)
	}
}

func main() {
	_, err := os.ReadFile("/etc/shadow")
	try("read /etc/shadow", err)
	_, err = os.ReadFile("../../../../../../SECRET")
	try("read a secret", err)
	_, err = os.Stat("/proc/1")
	try("see processes", err)
	try("setuid", syscall.Setuid(0))
	try("chroot", syscall.Chroot("/tmp"))
	try("mount", syscall.Mount("none", "/tmp", "tmpfs", 0, ""))
	try("user namespace", syscall.Unshare(syscall.CLONE_NEWUSER))
	try("make a device", syscall.Mknod("/tmp/x", syscall.S_IFBLK|0o666, 0x800))
	try("write to GOROOT", os.WriteFile(os.Getenv("GOROOT")+"/x", nil, 0o644))
	try("write to /", os.WriteFile("/x", nil, 0o644))
	try("write to /etc", os.WriteFile("/etc/x", nil, 0o644))
	try("signal", syscall.Kill(-1, 0))
	_ = os.WriteFile("/std/hostile", nil, 0o644)
	cards, _ := net.Interfaces()
	for _, c := range cards {
		if c.Flags&net.FlagUp != 0 {
			fmt.Fprintln(os.Stderr, "ESCAPED: network card", c.Name)
		}
	}
	for _, e := range os.Environ() {
		if strings.Contains(e, "hunter2") {
			fmt.Fprintln(os.Stderr, "ESCAPED: environment", e)
		}
	}
	f, err := os.Create("/tmp/much")
	for n := 0; err == nil && n < 8<<10; n++ {
		_, err = f.Write(make([]byte, 1<<20))
	}
	try("write 8 GiB", err)
	top, _ := filepath.Glob("/*")
	fmt.Fprintln(os.Stderr, "user", os.Getuid(), os.Getgid(), "sees", top)
	os.Exit(1)
}
`

// A go command that a lab has taken over reaches nothing of the host. Where it runs is all that the other tests rely on.
func TestHostileCompiler(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "secret\n")
	t.Setenv("SAIGEN_TEST_SECRET", "hunter2")
	src, root := t.TempDir(), t.TempDir()
	write(t, filepath.Join(src, "main.go"), strings.ReplaceAll(hostileGo, "SECRET", secret))
	write(t, filepath.Join(src, "go.mod"), "module hostile\n\ngo 1.21\n")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(root, "bin", "go"), ".")
	cmd.Dir, cmd.Env = src, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "app", "main.go"), "package main\n\nfunc main() {}\n")
	p, err := goCache(t).newGoProgram(lab.Image{Go: "app"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.toolchain.Root = root
	var log strings.Builder
	if _, _, err := p.compile(t.Context(), t.TempDir(), &log, quiet); err == nil {
		t.Error("a go command that fails has built a program")
	}
	t.Log(log.String())
	if strings.Contains(log.String(), "ESCAPED") || !strings.Contains(log.String(), "user 65534 65534 sees [/cache /dev /etc /modules /out /source /std /tmp") {
		t.Errorf("what the compiler could do:\n%s", log.String())
	}
	if found, err := filepath.Glob(filepath.Join(goKept, "*", "*", "hostile")); err != nil || len(found) > 0 {
		t.Errorf("it has put %v where other builds look, %v", found, err)
	}
}
