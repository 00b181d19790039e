package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Kernel is Debian's kernel for virtual machines, and an initial RAM disk that finds saigen's disks. Whoever boots a
// machine's disk with it adds KernelArguments to the command line.
type Kernel struct {
	Version  string    // of the kernel, as uname -r prints it: "6.1.0-56-cloud-amd64"
	Hash     string    // of what the files hold, 64 hex digits
	Image    string    // the file for direct kernel boot
	Initrd   string    // see initrd.go
	Modules  string    // tar with lib/modules
	Packages []Package // what they come from
}

// KernelArguments is the kernel command line that a machine's disk needs. Nothing checks disks that are made afresh,
// and only what went wrong is printed. A machine of saigen trusts all that runs in it: without KVM, what keeps processes
// from reading the kernel's memory costs half of the speed on a CPU model that needs it. Whoever wants a console adds console=.
//
// The kernel comes up on one processor, and initScript starts the others: a kernel that comes up changes its own code (static
// keys, see Documentation/staging/static-keys.rst), and without KVM a QEMU before 8.1 may translate code for one processor
// while another changes it, and keep what it has read ("accel/tcg: Always lock pages before translation" mended it). On a
// busy host one boot of thirty stood still for ever: both processors trapped on the breakpoint that had stood in
// sched_clock_idle_wakeup_event for the time of the change.
const KernelArguments = "maxcpus=1 quiet loglevel=4 systemd.show_status=error fsck.mode=skip net.ifnames=0 panic=-1 mitigations=off"

const (
	kernelsKind  = "kernels"
	kernelName   = "vmlinuz"
	initrdName   = "initrd"
	modulesName  = "modules.tar"
	kernelInfo   = "kernel.json"
	modprobePath = "saigen/modprobe" // below lib/modules/<version>
)

// kernelFile is what kernel.json holds.
type kernelFile struct {
	Version  string    `json:"version"`
	Hash     string    `json:"hash"`
	Suite    string    `json:"suite"`
	Snapshot string    `json:"snapshot,omitempty"`
	Packages []Package `json:"packages"`
}

// kernelPackage is the kernel for virtual machines. Architectures without one have a general kernel.
func kernelPackage() string {
	switch runtime.GOARCH {
	case "amd64", "arm64":
		return "linux-image-cloud-" + runtime.GOARCH
	}
	return "linux-image-" + runtime.GOARCH
}

// Kernel finds the kernel of a Debian suite in the cache or fetches it, which takes some ten seconds. The snapshot is
// that of the image, as lab.Image has it. Nothing of it is in a machine's image: its modules come with the disk.
func (c *Cache) Kernel(ctx context.Context, suite, snapshot string, say Say) (Kernel, error) {
	what := "kernel for " + suite
	d, err := newDebian(lab.Image{Debian: suite, Snapshot: snapshot}, Service)
	if err != nil {
		return Kernel{}, fmt.Errorf("cannot make the %s: %v", what, err)
	}
	key, err := json.Marshal([]any{"kernel", kernelArguments(d, ""), initScript, initModules})
	if err != nil {
		return Kernel{}, err
	}
	sum := sha256.Sum256(key)
	hash := hex.EncodeToString(sum[:])
	dir, _, err := c.entry(ctx, kernelsKind, hash, what, say, func(tmp string, log io.Writer) error {
		began := time.Now()
		say("%s: fetching Debian's %s", what, kernelPackage())
		info, err := makeKernel(ctx, d, tmp, log)
		if err != nil {
			return err
		}
		say("%s: %s is ready, after %.1f s", what, info.Version, time.Since(began).Seconds())
		return errors.Join(writeName(tmp, what+" ("+info.Version+")"), writeJSON(filepath.Join(tmp, kernelInfo), info))
	})
	if err != nil {
		return Kernel{}, infra("cannot make the "+what, err, c.failedLog(kernelsKind, hash))
	}
	var info kernelFile
	if err := readJSON(filepath.Join(dir, kernelInfo), &info); err != nil {
		return Kernel{}, fmt.Errorf("cannot read the %s: %v; remove the folder %s", what, err, dir)
	}
	return Kernel{
		Version: info.Version, Hash: info.Hash, Packages: info.Packages, Image: filepath.Join(dir, kernelName),
		Initrd: filepath.Join(dir, initrdName), Modules: filepath.Join(dir, modulesName),
	}, nil
}

// kernelArguments is the command line that unpacks the kernel, busybox and what depmod needs, and installs nothing.
func kernelArguments(d *debian, out string) []string {
	args := []string{
		"mmdebstrap", "--verbose", "--variant=extract", "--format=null", "--architectures=" + runtime.GOARCH,
		"--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
		"--aptopt=Acquire::Retries \"3\"",
		"--include=busybox-static,kmod,xz-utils," + kernelPackage(),
	}
	if d.img.Snapshot != "" {
		args = append(args, "--aptopt=Acquire::Check-Valid-Until \"false\"")
	}
	args = append(args,
		// Modules that are packed would be unpacked by a machine that has no KVM.
		`--extract-hook=find "$1"/lib/modules/ -name "*.ko.xz" -printf "/lib/modules/%P\n" | xargs --no-run-if-empty chroot "$1" xz --decompress`,
		`--extract-hook=chroot "$1" depmod "$(ls "$1"/lib/modules)"`,
		`--extract-hook=APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-cache show --no-all-versions "linux-image-$(ls "$1"/lib/modules)" busybox-static >"$1"/packages`,
		`--extract-hook=mv "$1"/boot/vmlinu*-* "$1"/`+kernelName,
		`--extract-hook=copy-out /`+kernelName+` /packages /bin/busybox `+out,
		`--extract-hook=tar-out /lib/modules `+filepath.Join(out, "unpacked.tar"),
		d.img.Debian, "-",
	)
	if d.img.Snapshot != "" {
		args = append(args, d.snapshotSources()...)
	}
	return args
}

func makeKernel(ctx context.Context, d *debian, tmp string, log io.Writer) (kernelFile, error) {
	info := kernelFile{Suite: d.img.Debian, Snapshot: d.img.Snapshot}
	if err := mmdebstrap(ctx, kernelArguments(d, tmp), tmp, log, nil); err != nil {
		return info, err
	}
	packages, busybox, unpacked := filepath.Join(tmp, "packages"), filepath.Join(tmp, "busybox"), filepath.Join(tmp, "unpacked.tar")
	text, err := os.ReadFile(packages)
	if err != nil {
		return info, err
	}
	if info.Packages, err = parsePackages(bytes.NewReader(text), false); err != nil {
		return info, err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return info, err
	}
	modules, err := packModules(unpacked, filepath.Join(tmp, modulesName), program)
	if err != nil {
		return info, err
	}
	info.Version = modules.version
	initrd, err := makeInitrd(modules, program)
	if err != nil {
		return info, err
	}
	if err := os.WriteFile(filepath.Join(tmp, initrdName), initrd, 0o644); err != nil {
		return info, err
	}
	if err := errors.Join(os.Remove(packages), os.Remove(busybox), os.Remove(unpacked), os.Chmod(filepath.Join(tmp, kernelName), 0o644)); err != nil {
		return info, err
	}
	info.Hash, err = hashFiles(filepath.Join(tmp, kernelName), filepath.Join(tmp, initrdName), filepath.Join(tmp, modulesName))
	return info, err
}

// modules are the kernel's modules that are kept in memory while the initial RAM disk is made.
type modules struct {
	version string
	depends map[string][]string // path below lib/modules/<version> → what must be loaded with it, the last one first
	data    map[string][]byte   // by path
}

// packModules turns the modules as they were unpacked into a tar for machines: owned by root, the same bytes for the
// same modules, and with a modprobe for machines that have none.
func packModules(unpacked, out string, busybox []byte) (*modules, error) {
	m, dirs, err := readModules(unpacked)
	if err != nil {
		return nil, err
	}
	tool := path.Join(m.version, modprobePath)
	files := []file{{name: tool, mode: 0o755, data: busybox}, {name: path.Dir(tool) + "/", mode: 0o755}}
	for _, name := range dirs {
		files = append(files, file{name: name + "/", mode: 0o755})
	}
	for name, data := range m.data {
		files = append(files, file{name: path.Join(m.version, name), mode: 0o644, data: data})
	}
	for i := range files {
		files[i].name = "lib/modules/" + files[i].name
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	data, err := archive(files, time.Unix(0, 0))
	if err != nil {
		return nil, err
	}
	return m, os.WriteFile(out, data, 0o644)
}

// readModules reads a tar of the folder lib/modules. It returns the folders in it apart.
func readModules(name string) (m *modules, dirs []string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	m = &modules{data: map[string][]byte{}}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read the kernel's modules: %v", err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(path.Clean(h.Name), "modules"), "/")
		version, below, _ := strings.Cut(name, "/")
		switch {
		case name == "" || h.Typeflag != tar.TypeDir && h.Typeflag != tar.TypeReg: // the rest are links to the sources
		case m.version != "" && version != m.version:
			return nil, nil, fmt.Errorf("there are modules of two kernels: %s and %s", m.version, version)
		case h.Typeflag == tar.TypeDir:
			m.version = version
			dirs = append(dirs, name)
		default:
			if m.data[below], err = io.ReadAll(r); err != nil {
				return nil, nil, err
			}
		}
	}
	if m.version == "" {
		return nil, nil, errors.New("the kernel's package has no modules")
	}
	m.depends = parseDepends(m.data["modules.dep"])
	return m, dirs, nil
}

// parseDepends reads depmod's list: "path: needed needed".
func parseDepends(data []byte) map[string][]string {
	all := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		name, needs, ok := strings.Cut(line, ":")
		if ok {
			all[name] = strings.Fields(needs)
		}
	}
	return all
}

// hashFiles names what the files hold, in this order.
func hashFiles(names ...string) (string, error) {
	sum := sha256.New()
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		one := sha256.New()
		_, err = io.Copy(one, f)
		_ = f.Close()
		if err != nil {
			return "", err
		}
		_, _ = sum.Write(one.Sum(nil))
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func writeJSON(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(data, '\n'), 0o644)
}

func readJSON(name string, v any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}
