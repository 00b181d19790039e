package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// debian is an image made of Debian packages, by mmdebstrap.
type debian struct {
	img      lab.Image
	role     Role
	packages []string // sorted, without doubles
}

// machineBase is what every machine has besides Debian's minimal system. It is kept small, because a lab may be
// about what is missing: recommended packages are never installed, dbus-user-session least of all.
var machineBase = []string{"systemd", "systemd-sysv", "dbus", "libpam-systemd", "procps", "iproute2", "passwd", "login"}

// A name that apt would take for a file, a pattern or a removal is refused: lab files are not trusted.
var (
	packageForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*[a-z0-9+](=[0-9A-Za-z.+:~-]+)?$`)
	suiteForm    = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	snapshotForm = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z$`)
)

func newDebian(img lab.Image, role Role) (*debian, error) {
	if !suiteForm.MatchString(img.Debian) {
		return nil, fmt.Errorf("%q is no Debian suite, such as \"bookworm\"", img.Debian)
	}
	if img.Snapshot != "" && !snapshotForm.MatchString(img.Snapshot) {
		return nil, fmt.Errorf("%q is no snapshot: write a time of snapshot.debian.org, such as \"20240601T000000Z\"", img.Snapshot)
	}
	d := &debian{img: img, role: role, packages: slices.Clone(img.Packages)}
	if role == Machine {
		d.packages = append(d.packages, machineBase...)
	}
	for _, p := range d.packages {
		if !packageForm.MatchString(p) {
			return nil, fmt.Errorf("%q is no package: write a name, or name=version", p)
		}
	}
	slices.Sort(d.packages)
	d.packages = slices.Compact(d.packages)
	return d, nil
}

func (d *debian) key(context.Context) ([]byte, error) {
	files, err := d.files()
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Kind      string
		Arguments []string
		Files     []byte
	}{"debian", d.arguments("files.tar", tarName), files})
}

// arguments is mmdebstrap's command line. All that the image depends on is in it and in the archive of our own files.
func (d *debian) arguments(files, out string) []string {
	args := []string{
		"mmdebstrap", "--verbose", "--variant=minbase", "--format=tar", "--architectures=" + runtime.GOARCH,
		"--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr", // merged from the start: no usrmerge, no perl for it
		"--aptopt=Acquire::Retries \"3\"",
		"--dpkgopt=force-unsafe-io",
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-include=/usr/share/doc/*/copyright",
	}
	if len(d.packages) > 0 {
		args = append(args, "--include="+strings.Join(d.packages, ","))
	}
	if d.img.Snapshot != "" {
		args = append(args, "--aptopt=Acquire::Check-Valid-Until \"false\"")
	}
	args = append(args,
		// The settings above were for building; a machine has Debian's own. The last two come from the host.
		`--customize-hook=rm -f "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/hostname "$1"/etc/resolv.conf`,
		// podman.socket starts it when root wants it; at boot it only takes time, and fails where / is an overlay.
		`--customize-hook=rm -f "$1"/etc/systemd/system/*.wants/podman.service`,
		`--customize-hook=tar-in `+files+` /`,
		// Newer than /usr: systemd need not bring /etc and /var up to date with it at every first boot.
		`--customize-hook=touch "$1"/etc/.updated "$1"/var/.updated`,
		d.img.Debian, out,
	)
	if d.img.Snapshot != "" {
		args = append(args, d.snapshotSources()...)
	}
	return args
}

// snapshotSources are the archives that mmdebstrap uses when it is given none, as they were at one time.
func (d *debian) snapshotSources() []string {
	line := func(archive, suite string) string {
		return fmt.Sprintf("deb [signed-by=%s] http://snapshot.debian.org/archive/%s/%s %s main",
			keyring, archive, d.img.Snapshot, suite)
	}
	lines := []string{line("debian", d.img.Debian)}
	switch d.img.Debian {
	case "sid", "unstable", "experimental":
		return lines
	}
	return append(lines, line("debian", d.img.Debian+"-updates"), line("debian-security", d.img.Debian+"-security"))
}

func (d *debian) build(ctx context.Context, tmp string, log io.Writer, say Say) ([]Package, error) {
	files, err := d.files()
	if err != nil {
		return nil, err
	}
	ours, out := filepath.Join(tmp, "files.tar"), filepath.Join(tmp, tarName)
	if err := os.WriteFile(ours, files, 0o644); err != nil {
		return nil, err
	}
	if err := mmdebstrap(ctx, d.arguments(ours, out), tmp, log, newProgress(say).line); err != nil {
		return nil, err
	}
	if err := os.Remove(ours); err != nil {
		return nil, err
	}
	return debianPackages(out)
}

// mmdebstrap runs the command line in the folder tmp.
func mmdebstrap(ctx context.Context, argv []string, tmp string, log io.Writer, line func(string)) error {
	cmd := command{argv: argv, dir: tmp, env: plainEnv(), private: true, log: log, line: line}
	scratch := filepath.Join(tmp, "root")
	if os.Geteuid() == 0 {
		// Where a killed build left it, the next one finds it. A normal user's mmdebstrap needs a folder that his
		// subordinate ids can reach, which is /tmp.
		if err := os.Mkdir(scratch, 0o755); err != nil {
			return err
		}
		cmd.env = append(cmd.env, "TMPDIR="+scratch)
		if plentyOfMemory() {
			cmd.memory = scratch
		}
	}
	if _, err := cmd.run(ctx); err != nil {
		return fmt.Errorf("mmdebstrap: %w", err)
	}
	return os.RemoveAll(scratch)
}

// plentyOfMemory says whether an unpacked system fits into memory beside all else. Packing from there takes a third
// less time: dpkg syncs a lot.
func plentyOfMemory() bool {
	const enough = 4 << 20 // KiB
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		var free int
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &free); n == 1 {
			return free >= enough
		}
	}
	return false
}

// debianPackages reads dpkg's own list out of a root filesystem.
func debianPackages(rootfs string) ([]Package, error) {
	f, err := os.Open(rootfs)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("cannot find the list of packages in %s: %v", rootfs, err)
		}
		if strings.TrimPrefix(h.Name, "./") == "var/lib/dpkg/status" {
			return parsePackages(r, true)
		}
	}
}

// parsePackages reads dpkg's list of packages, of which only those count that are installed, or what apt-cache says.
func parsePackages(r io.Reader, status bool) ([]Package, error) {
	var all []Package
	var p Package
	installed := !status
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	end := func() {
		if p.Name != "" && installed {
			all = append(all, p)
		}
		p, installed = Package{}, !status
	}
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			end()
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(": "))
		if !ok {
			continue
		}
		switch string(name) {
		case "Package":
			p.Name = string(value)
		case "Version":
			p.Version = string(value)
		case "Architecture":
			p.Arch = string(value)
		case "Status":
			installed = string(value) == "install ok installed"
		}
	}
	end()
	slices.SortFunc(all, func(a, b Package) int {
		return strings.Compare(a.Name+" "+a.Arch, b.Name+" "+b.Arch)
	})
	return all, lines.Err()
}
