package guest_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/guest"
)

// The smallest VM that has an agent: a kernel, and this test binary as its init. It boots in seconds without KVM.

// vmModules are what a virtio-serial port needs, in the order in which they are loaded.
var vmModules = []string{"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_console"}

// initOfVM is the VM's first process, and then its agent.
func initOfVM() {
	must := func(what string, err error) {
		if err != nil {
			fmt.Fprintln(os.Stdout, "cannot "+what+":", err)
			_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
		}
	}
	for _, m := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}} {
		must("mount "+m[1], unix.Mount(m[0], m[1], m[0], 0, ""))
	}
	go func() { // after the agent has begun to look for its ports
		for _, name := range vmModules {
			f, err := os.Open("/modules/" + name)
			must("open "+name, err)
			must("load "+name, unix.FinitModule(int(f.Fd()), "", 0))
		}
	}()
	os.Exit(guest.Main([]string{"agent", "--socket", "/run/saigen-host/agent.sock"}, nil))
}

// tool is what the VM has for programs.
func tool(name string) int {
	var err error
	switch name {
	case "cat":
		_, err = io.Copy(os.Stdout, os.Stdin)
	case "flood": // never ends
		_, err = io.Copy(os.Stdout, flood{})
	case "random":
		_, err = io.CopyN(os.Stdout, mustOpen("/dev/urandom"), 32)
	case "busy": // how much of the last second the agent spent running, in hundredths
		before := ticksOfInit()
		<-time.After(time.Second)
		fmt.Fprint(os.Stdout, ticksOfInit()-before)
	case "count": // how many processes run a tool
		n := 0
		all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, p := range all {
			if data, _ := os.ReadFile(p); bytes.Contains(data, []byte("\x00tool\x00")) {
				n++
			}
		}
		fmt.Fprint(os.Stdout, n-1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func ticksOfInit() int {
	data, _ := os.ReadFile("/proc/1/stat")
	f := strings.Fields(string(data))
	user, _ := strconv.Atoi(f[13])
	system, _ := strconv.Atoi(f[14])
	return user + system
}

func mustOpen(path string) *os.File {
	f, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	return f
}

// flood is bytes that look like anything but what a session should hear.
type flood struct{}

func (flood) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(0xB0 + i%32)
	}
	return len(p), nil
}

type vm struct {
	folder  string
	cmd     *exec.Cmd
	ended   chan struct{}
	console string
}

// bootVM starts a VM, from a file of its memory where one is named.
func bootVM(t *testing.T, from string) *vm {
	t.Helper()
	if os.Getenv("SAIGEN_REAL") != "1" {
		t.Skip("starts real machines; set SAIGEN_REAL=1")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("there is no qemu-system-x86_64: ", err)
	}
	kernel, initrd := vmFiles(t)
	dir, err := os.MkdirTemp("", "vm") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	v := &vm{folder: dir, ended: make(chan struct{}), console: filepath.Join(dir, "console")}
	args := []string{"-accel", "tcg", "-cpu", "qemu64", "-m", "320", "-nodefaults", "-display", "none", "-no-reboot",
		"-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1",
		"-serial", "file:" + v.console, "-qmp", "unix:" + filepath.Join(dir, "qmp") + ",server=on,wait=off",
		"-device", "virtio-serial-pci"}
	for n := range guest.Ports {
		id := strconv.Itoa(n)
		args = append(args, "-chardev", "socket,id=a"+id+",path="+guest.PortSocket(dir, n)+",server=on,wait=off",
			"-device", "virtserialport,chardev=a"+id+",name="+guest.PortName+id)
	}
	if from != "" {
		args = append(args, "-incoming", "exec:cat "+from)
	}
	v.cmd = exec.Command("qemu-system-x86_64", args...)
	var errs bytes.Buffer
	v.cmd.Stderr = &errs
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(v.ended)
		_ = v.cmd.Wait()
	}()
	t.Cleanup(func() {
		v.stop()
		if t.Failed() {
			console, _ := os.ReadFile(v.console)
			t.Logf("qemu: %s\nconsole:\n%s", errs.String(), console[max(0, len(console)-4000):])
		}
	})
	return v
}

// resume lets a VM run that was saved.
func (v *vm) resume(t *testing.T) {
	t.Helper()
	for {
		var state struct{ Status string }
		if err := json.Unmarshal(v.monitor(t, `{"execute":"query-status"}`), &state); err != nil {
			t.Fatal(err)
		}
		if state.Status == "paused" {
			v.monitor(t, `{"execute":"cont"}`)
			return
		}
		select {
		case <-v.ended:
			t.Fatalf("QEMU ended in the state %s", state.Status)
		default:
		}
	}
}

func (v *vm) stop() {
	_ = v.cmd.Process.Kill()
	<-v.ended
}

// client connects to the VM's agent; it waits for as long as the VM may take to boot on a busy host.
func (v *vm) client(t *testing.T) *guest.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	go func() {
		select {
		case <-v.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	c, err := guest.DialPort(ctx, v.folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// monitor has QEMU carry out commands.
func (v *vm) monitor(t *testing.T, commands ...string) (last json.RawMessage) {
	t.Helper()
	var conn net.Conn
	for err := error(nil); conn == nil; {
		if conn, err = net.Dial("unix", filepath.Join(v.folder, "qmp")); err == nil {
			break
		}
		select {
		case <-v.ended:
			t.Fatal("QEMU ended: ", err)
		default:
		}
	}
	defer conn.Close()
	answers := bufio.NewScanner(conn)
	for _, c := range append([]string{`{"execute":"qmp_capabilities"}`}, commands...) {
		if _, err := io.WriteString(conn, c+"\n"); err != nil {
			t.Fatal(err)
		}
		for last = nil; last == nil && answers.Scan(); {
			var a struct{ Return, Error json.RawMessage }
			if err := json.Unmarshal(answers.Bytes(), &a); err != nil || a.Error != nil {
				t.Fatalf("%s: %s %v", c, a.Error, err)
			}
			last = a.Return
		}
		if last == nil {
			t.Fatalf("%s: no answer", c)
		}
	}
	return last
}

// save writes the VM's memory to a file, and ends it.
func (v *vm) save(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "memory")
	v.monitor(t, `{"execute":"stop"}`,
		`{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":10000000000}}`,
		`{"execute":"migrate","arguments":{"uri":"exec:cat > `+file+`"}}`)
	for {
		var state struct{ Status string }
		if err := json.Unmarshal(v.monitor(t, `{"execute":"query-migrate"}`), &state); err != nil || state.Status == "failed" {
			t.Fatalf("%+v %v", state, err)
		}
		if state.Status == "completed" {
			v.stop()
			return file
		}
	}
}

// vmFiles returns a kernel, and an initrd made of its modules and this binary with the libraries that it needs.
func vmFiles(t *testing.T) (kernel, initrd string) {
	t.Helper()
	images, err := drivertest.Images(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	k, err := images.Kernel(t.Context(), "bookworm", "", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, dir := range []string{"proc", "sys", "dev", "run", "root", "bin", "modules", "lib64", "lib"} {
		addCpio(&out, dir, 0o40755, nil)
	}
	addFile := func(name, from string) {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		addCpio(&out, name, 0o100755, data)
	}
	addFile("init", self)
	addFile("bin/true", "/bin/true")
	libs := map[string]bool{}
	for _, program := range []string{self, "/bin/true"} {
		f, err := elf.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		needed, err := f.ImportedLibraries() // none of a Go program, where there is no C compiler
		if err != nil {
			t.Fatal(err)
		}
		for _, lib := range needed {
			libs[lib] = true
		}
		_ = f.Close()
	}
	for lib := range libs {
		addFile("lib/"+lib, filepath.Join("/lib/x86_64-linux-gnu", lib))
	}
	addFile("lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2")
	for name, data := range readModules(t, k.Modules) {
		addCpio(&out, "modules/"+name, 0o100644, data)
	}
	addCpio(&out, "TRAILER!!!", 0, nil)
	initrd = filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(initrd, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return k.Image, initrd
}

// addCpio adds a file in the format that the kernel reads: Documentation/driver-api/early-userspace/buffer-format.rst.
func addCpio(out *bytes.Buffer, name string, mode int, data []byte) {
	fmt.Fprintf(out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		out.Len(), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	pad := func() { out.Write(make([]byte, (4-out.Len()%4)%4)) }
	pad()
	out.Write(data)
	pad()
}

func readModules(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f := mustOpen(path)
	defer f.Close()
	all := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(h.Name), ".ko")
		for _, want := range vmModules {
			if name == want {
				if all[name], err = io.ReadAll(r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if len(all) != len(vmModules) {
		t.Fatalf("%s lacks some of %q", path, vmModules)
	}
	return all
}
