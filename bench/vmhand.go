package main

import (
	"bufio"
	gobytes "bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A VM by hand is QEMU with the very arguments that saigen's has, read from its command line, but for what belongs to one
// machine: its folder, its overlay (by qemu-img), its memory; a monitor for people, and a serial console that can be typed into.

// handVM is such a VM. The shell is on its serial console.
type handVM struct {
	*shell
	dir     string
	state   string // file that it goes on from; empty: it boots
	pid     int    // of QEMU
	monitor net.Conn
	said    *bufio.Reader // by the monitor
}

const (
	handDisk    = "root.qcow2"
	handMonitor = "monitor.sock"
	handConsole = "console.sock"
)

// handShell becomes the shell on the serial console of a VM: it says that it is there, and reads.
const handShell = `exec </dev/ttyS0 >/dev/ttyS0 2>&1; echo "` + done + ` 0"; exec /bin/sh`

// handUnit stands in for the agent's unit, with what the image adds to that: so it starts at the same place in the boot.
const handUnit = "[Service]\nType=exec\nExecStart=/bin/sh -c '" + handShell + "'\n"

// commandLine is that of the QEMU of a machine's runtime folder.
func commandLine(folder string) ([]string, error) {
	pid, err := os.ReadFile(filepath.Join(folder, "pid"))
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/cmdline")
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00"), nil
}

// argument is the value of an option; empty: it is not there.
func argument(args []string, option string) string {
	if i := slices.Index(args, option); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

func kvmOf(args []string) string {
	if strings.HasPrefix(argument(args, "-accel"), "kvm") {
		return "yes"
	}
	return "no: QEMU emulates the processor (TCG)"
}

// byHand starts a VM in a folder that is made.
func (v *vms) byHand(ctx context.Context, dir string, args []string) (_ *handVM, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	own, state, err := handArguments(dir, args)
	if err != nil {
		return nil, err
	}
	// The shell around it ends it when we are gone.
	cmd := exec.Command("sh", append([]string{"-c", `"$@" & echo $!; read nothing; kill -KILL $!; wait`, "sh"}, own...)...)
	cmd.Dir = dir
	log, err := os.Create(filepath.Join(dir, "qemu.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	_, end, err := spawn(cmd)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			text, _ := os.ReadFile(log.Name())
			err = errors.Join(fmt.Errorf("%w\n%s", err, text), end())
		}
	}()
	first, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		return nil, err
	}
	h := &handVM{dir: dir, state: state}
	if h.pid, err = strconv.Atoi(strings.TrimSpace(first)); err != nil {
		return nil, err
	}
	console, err := dial(ctx, filepath.Join(dir, handConsole))
	if err != nil {
		return nil, err
	}
	monitor, err := dial(ctx, filepath.Join(dir, handMonitor))
	if err != nil {
		return nil, errors.Join(err, console.Close())
	}
	h.monitor, h.said = monitor, bufio.NewReader(monitor)
	h.shell = &shell{in: console, out: bufio.NewReader(console), end: func() error {
		return errors.Join(end(), ignoreClosed(monitor.Close()), ignoreClosed(console.Close()))
	}}
	_, err = h.prompt()
	return h, err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// dialTime is how long a QEMU may take to open its sockets.
const dialTime = 20 * time.Second

func dial(ctx context.Context, path string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("unix", path)
		if err == nil {
			return c, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot reach QEMU: %w", err)
		}
	}
}

// load reads the saved state. The VM is stopped.
func (h *handVM) load(ctx context.Context) error {
	for _, command := range []string{"migrate_set_capability x-ignore-shared on", `migrate_incoming "exec:cat ` + h.state + `"`} {
		if _, err := h.ask(ctx, command); err != nil {
			return err
		}
	}
	limited, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	for {
		status, err := h.ask(limited, "info status")
		if err != nil {
			return err
		}
		if strings.Contains(status, "paused") && !strings.Contains(status, "(inmigrate)") {
			return nil
		}
	}
}

// goOn lets the VM run.
func (h *handVM) goOn(ctx context.Context) error {
	_, err := h.ask(ctx, "cont")
	return err
}

// warm has a machine that is stopped go on until it has answered a command, and stops it again.
func (h *handVM) warm(ctx context.Context) error {
	if err := h.goOn(ctx); err != nil {
		return err
	}
	if _, err := h.do(ctx, "/bin/true"); err != nil {
		return err
	}
	_, err := h.ask(ctx, "stop")
	return err
}

// ask types a command into QEMU's monitor and returns what it says before it prompts again.
func (h *handVM) ask(ctx context.Context, command string) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = h.end() })
	defer stop()
	if _, err := io.WriteString(h.monitor, command+"\n"); err != nil {
		return "", fmt.Errorf("cannot ask QEMU: %w", err)
	}
	return h.prompt()
}

// prompt reads up to the monitor's next prompt.
func (h *handVM) prompt() (string, error) {
	var said strings.Builder
	for !strings.HasSuffix(said.String(), "(qemu) ") {
		part, err := h.said.ReadString(' ')
		if err != nil {
			return "", fmt.Errorf("cannot ask QEMU: %w", err)
		}
		said.WriteString(part)
	}
	return said.String(), nil
}

// handArguments are saigen's arguments with files in dir. state is the file that a VM that saigen restored goes on from; empty
// for one that it booted.
func handArguments(dir string, args []string) (out []string, state string, err error) {
	restore := argument(args, "-incoming") != ""
	var size int64
	for i := 0; i < len(args); i++ {
		option, value := args[i], ""
		if i+1 < len(args) {
			value = args[i+1]
		}
		switch option {
		default:
			out = append(out, option)
			continue
		case "-pidfile", "-sandbox", "-incoming":
			i++
			continue
		case "-mon":
			value = "chardev=monitor,mode=readline"
		case "-chardev":
			for id, socket := range map[string]string{"monitor": handMonitor, "console": handConsole} {
				if strings.Contains(value, "id="+id) {
					value = "socket,id=" + id + ",server=on,wait=off,path=" + socket
				}
			}
		case "-initrd":
			value, err = handInitrd(value, filepath.Join(dir, "initrd"))
		case "-object":
			value, err = change(value, func(o map[string]any) error {
				if o["qom-type"] != "memory-backend-file" {
					return nil
				}
				if restore {
					state = strings.TrimSuffix(o["mem-path"].(string), ".ram") + ".state"
					return nil
				}
				o["mem-path"] = filepath.Join(dir, "ram")
				return emptyFile(filepath.Join(dir, "ram"), int64(o["size"].(float64)))
			})
		case "-blockdev":
			value, err = change(value, func(o map[string]any) error {
				file := o["file"].(map[string]any)
				switch o["node-name"] {
				case "base":
					st, err := os.Stat(file["filename"].(string))
					if err != nil {
						return err
					}
					size = st.Size()
				case "root": // comes after it
					file["filename"] = filepath.Join(dir, handDisk)
					return overlay(filepath.Join(dir, handDisk), size)
				}
				return nil
			})
		}
		if err != nil {
			return nil, "", err
		}
		out = append(out, option, value)
		i++
	}
	if restore {
		out = append(out, "-incoming", "defer")
	}
	return out, state, nil
}

// change changes an argument that is JSON.
func change(argument string, how func(map[string]any) error) (string, error) {
	var o map[string]any
	if err := json.Unmarshal([]byte(argument), &o); err != nil {
		return "", fmt.Errorf("cannot read saigen's argument %q: %w", argument, err)
	}
	if err := how(o); err != nil {
		return "", err
	}
	data, err := json.Marshal(o)
	return string(data), err
}

func emptyFile(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// overlay makes an empty overlay for a disk of that many bytes.
func overlay(path string, size int64) error {
	out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", path, strconv.FormatInt(size, 10)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("qemu-img create: %w: %s", err, out)
	}
	return nil
}

// handInitrd is saigen's initial RAM disk with another init behind it, which is what the kernel then uses: the same script,
// that also puts handUnit where systemd looks before it looks at the agent's unit.
func handInitrd(theirs, ours string) (string, error) {
	data, err := os.ReadFile(theirs)
	if err != nil {
		return "", err
	}
	script, err := fromCPIO(data, "init")
	if err != nil {
		return "", err
	}
	const before = "exec $b switch_root"
	if !gobytes.Contains(script, []byte(before)) {
		return "", errors.New("the initial RAM disk does not switch_root")
	}
	const folder = "/root/run/systemd/system.control"
	own := "$b mount -t tmpfs -o mode=755,nosuid,nodev none /root/run\n$b mkdir -p " + folder +
		"\n$b cat >" + folder + "/saigen-agent.service <<'UNIT'\n" + handUnit + "UNIT\n"
	script = gobytes.Replace(script, []byte(before), []byte(own+before), 1)
	return ours, os.WriteFile(ours, append(data, toCPIO("init", script)...), 0o600)
}

// An initial RAM disk is entries of a header of 110 characters, a name and its data, each padded to four bytes
// (Documentation/driver-api/early-userspace/buffer-format.rst).
const (
	cpioHeader          = 110
	cpioSize, cpioNames = 54, 94 // where the lengths of data and name are
)

func fromCPIO(data []byte, wanted string) ([]byte, error) {
	pad := func(n int) int { return (n + 3) &^ 3 }
	for len(data) > cpioHeader {
		size, err1 := strconv.ParseInt(string(data[cpioSize:cpioSize+8]), 16, 32)
		names, err2 := strconv.ParseInt(string(data[cpioNames:cpioNames+8]), 16, 32)
		begin := pad(cpioHeader + int(names))
		if err := errors.Join(err1, err2); err != nil || begin+int(size) > len(data) || names < 1 {
			return nil, errors.Join(io.ErrUnexpectedEOF, err)
		}
		if string(data[cpioHeader:cpioHeader+int(names)-1]) == wanted {
			return data[begin : begin+int(size)], nil
		}
		data = data[min(len(data), pad(begin+int(size))):]
	}
	return nil, fmt.Errorf("the initial RAM disk has no %s", wanted)
}

func toCPIO(name string, data []byte) []byte {
	var b gobytes.Buffer
	align := func() {
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
	}
	add := func(name string, mode int, data []byte) {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
		b.WriteString(name + "\x00")
		align()
		b.Write(data)
		align()
	}
	add(name, 0o100755, data)
	add("TRAILER!!!", 0, nil)
	return b.Bytes()
}
