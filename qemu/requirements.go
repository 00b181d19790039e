package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
)

const needed = "driver qemu"

// The least that a host must have: one machine of the default size with QEMU's own memory, and room for what it writes.
const (
	leastMemory = defaultMemory + 256<<20
	leastDisk   = 2 << 30
)

// Requirements says what the driver needs of the host. scratch is a folder like those that Options.Scratch returns,
// runtime is Options.Runtime; the nearest folders above them that exist are looked at. KVM is not among them: without it
// machines are slower, and that is all.
func Requirements(scratch, runtime string) []lab.Requirement {
	return []lab.Requirement{
		{
			Name: program, Needed: needed,
			Fix:   "apt-get install --no-install-recommends qemu-system-x86",
			Check: checkQEMU,
		},
		{
			Name: "1.25 GiB of memory", Needed: needed,
			Fix:   "free -m   # end what needs the memory",
			Check: func(context.Context) error { return checkMemory() },
		},
		{
			Name: "2 GiB of disk", Needed: needed,
			Fix:   "df -h " + scratch + "   # make room, or point XDG_STATE_HOME elsewhere",
			Check: func(context.Context) error { return checkDisk(scratch) },
		},
		{
			Name: "a folder for sockets", Needed: needed,
			Fix:   "export XDG_RUNTIME_DIR=$(mktemp -d)   # where the session has none",
			Check: func(context.Context) error { return checkWritable(runtime) },
		},
	}
}

var versionForm = regexp.MustCompile(`version ([0-9]+)\.([0-9]+)`)

// checkQEMU looks for QEMU 7.2, which Debian 12 has: the first that joins machines through unix sockets.
func checkQEMU(ctx context.Context) error {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("there is no program %s", program)
	}
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return fmt.Errorf("cannot ask QEMU for its version: %w", err)
	}
	return checkVersion(string(out))
}

func checkVersion(says string) error {
	v := versionForm.FindStringSubmatch(says)
	if v == nil {
		return fmt.Errorf("QEMU says that its version is %q", says)
	}
	major, _ := strconv.Atoi(v[1])
	minor, _ := strconv.Atoi(v[2])
	if major < 7 || major == 7 && minor < 2 {
		return fmt.Errorf("QEMU %d.%d is older than 7.2", major, minor)
	}
	return nil
}

func checkMemory() error {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return err
	}
	m, err := proc.Meminfo()
	if err != nil {
		return fmt.Errorf("cannot read how much memory there is: %w", err)
	}
	if m.MemAvailableBytes == nil {
		return errors.New("the kernel does not say how much memory there is")
	}
	if *m.MemAvailableBytes < leastMemory {
		return fmt.Errorf("%d MiB are available", *m.MemAvailableBytes>>20)
	}
	return nil
}

func checkDisk(dir string) error {
	dir, err := nearest(dir)
	if err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("cannot look at %s: %w", dir, err)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < leastDisk {
		return fmt.Errorf("%s has %d MiB left", dir, free>>20)
	}
	return checkWritable(dir)
}

func checkWritable(dir string) error {
	dir, err := nearest(dir)
	if err != nil {
		return err
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return fmt.Errorf("cannot write to %s: %w", dir, err)
	}
	return nil
}

// nearest is the folder itself, or the nearest one above it that exists.
func nearest(dir string) (string, error) {
	for {
		_, err := os.Stat(dir)
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, os.ErrNotExist) || dir == "/" || dir == "." {
			return "", fmt.Errorf("cannot look at %s: %w", dir, err)
		}
		dir = filepath.Dir(dir)
	}
}
