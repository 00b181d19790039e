package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/runner"
)

// small is a file system in memory that saigen sees in the place of a folder, and nobody else: it is in a mount namespace of its own.
type small struct {
	at     string // the folder
	root   string // where this process finds what is seen there
	holder *exec.Cmd
	hold   io.Closer
}

// newSmall mounts one of so many bytes, with options of mount(8).
func newSmall(at string, size int64, options string) (*small, error) {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return nil, err
	}
	const script = `mount -t tmpfs -o "mode=755,size=$1" none "$2" && { test -z "$3" || mount -o "remount,$3" "$2"; } && echo there && exec cat`
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", strconv.FormatInt(size, 10), at, options)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &small{at: at, holder: cmd, hold: in, root: fmt.Sprintf("/proc/%d/root", cmd.Process.Pid)}
	if _, err := io.ReadFull(out, make([]byte, len("there\n"))); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot mount a small file system on %s: %w", at, err), s.close())
	}
	return s, nil
}

// close unmounts it: its namespace goes with the last process in it.
func (s *small) close() error {
	_ = s.hold.Close()
	return s.holder.Wait()
}

// host is the host as saigen sees it there.
func (s *small) host(h *host) (*host, error) {
	one := *h
	one.prefix = []string{"nsenter", "--target", strconv.Itoa(s.holder.Process.Pid), "--mount", "--"}
	one.dir, one.cache = filepath.Join(s.root, h.dir), filepath.Join(s.root, h.cache)
	return &one, one.remember()
}

// onePage is the least that there can be room for.
const onePage = 4096

// roomy is more than saigen demands of a disk before it starts.
const roomy = 4 << 30

// resize gives it another size, which may not be less than what is in it.
func (s *small) resize(size int64) error {
	cmd := exec.Command("nsenter", "--target", strconv.Itoa(s.holder.Process.Pid), "--mount", "--", "mount", "-o", fmt.Sprintf("remount,size=%d", size), s.at)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot resize a small file system: %w: %s", err, out)
	}
	return nil
}

// fill leaves only so many bytes. What is written at the same moment may take them first.
func (s *small) fill(but int64) error {
	for tries := 0; ; tries++ {
		var st unix.Statfs_t
		if err := unix.Statfs(filepath.Join(s.root, s.at), &st); err != nil {
			return err
		}
		err := s.resize(max(onePage, (int64(st.Blocks)-int64(st.Bfree))*st.Bsize+but)) // 0 would be no limit at all
		if err == nil || tries == 10 {
			return err
		}
	}
}

func (s *small) empty() error { return s.resize(roomy) }

// full has disks run full.
func full(ctx context.Context, h *host) (figures, error) {
	path, err := h.lab(deathLab)
	if err != nil {
		return nil, err
	}
	return h.disasters(ctx, path, fullDisks())
}

// fullDisks is the table.
func fullDisks() (all []disaster) {
	state := func(name, driver string, m moment, but int64) disaster {
		var s *small
		d := disaster{name: name, driver: driver, moment: m, next: true, judge: poor("no space left on device", "saigen cache prune", "XDG_STATE_HOME")}
		d.prepare = func(_ context.Context, h *host) (on *host, _ func() error, err error) {
			if s, err = newSmall(filepath.Join(h.dir, "state"), roomy, ""); err != nil {
				return nil, nil, err
			}
			on, err = s.host(h)
			return on, s.close, err
		}
		d.strike = func(context.Context, *host, *process) (func() error, error) { return s.empty, s.fill(but) }
		return d
	}
	for _, but := range []int64{0, 1 << 20} {
		d := state("the state folder is full before a run", "container", moment{name: fmt.Sprintf("%d MiB", but>>20)}, but)
		d.judge = refused("this host lacks", "MiB left", "XDG_STATE_HOME")
		all = append(all, d)
	}
	for _, but := range []int64{0, 8 << 10, 64 << 10, 1 << 20, 30 << 20} {
		m := moment{fmt.Sprintf("the start, but for %d KiB", but>>10), []string{`"type":"driver_chosen"`}, runner.Fault}
		all = append(all, state("the state folder is full in a run", "container", m, but))
	}
	for _, m := range append(moments(),
		moment{"the baseline", []string{`"type":"phase_started"`, `"arm":"fault"`, `"phase":"baseline"`}, runner.Fault},
		moment{"the remedy", []string{`"type":"phase_started"`, `"arm":"fault"`, `"phase":"remedy take_typo_back"`}, runner.Fault},
		moment{"the verdict", []string{`"type":"trial_ended"`}, runner.Fault},
	) {
		all = append(all, state("the state folder is full in a run", "container", m, 0))
		if m.name == "the boot" || m.name == "the fault" {
			all = append(all, state("the state folder is full in a run", "qemu", m, 0))
		}
	}
	for _, part := range []float64{0, 0.02, 0.4, 0.9} {
		all = append(all, smallCache("a store is made on a small disk", "container", image.KindStore, part, poor("no space left on device", "saigen cache prune")))
	}
	for _, part := range []float64{0, 0.3, 0.9} {
		all = append(all, smallCache("a disk is made on a small disk", "qemu", image.KindDisk, part, poor("no space left on device", "saigen cache prune")))
	}
	for _, part := range []float64{0.01, 0.5} {
		all = append(all, smallCache("a snapshot is saved on a small disk", "qemu", image.KindSnapshot, part, told("no space left on device")))
	}
	return all
}

// told is poor, and demands the words where the run went on without what it could not make, too.
func told(word string) func(h *host, got said, struck time.Time) (string, string) {
	return func(h *host, got said, struck time.Time) (string, string) {
		outcome, complaint := poor(word)(h, got, struck)
		if complaint == "" && !contains(got, word) {
			complaint = fmt.Sprintf("it does not say %q: %s", word, got.line())
		}
		return outcome, complaint
	}
}

// smallCache has entries of one kind made where there is room for a part of those that the cache has.
func smallCache(name, driver, kind string, part float64, judge func(h *host, got said, struck time.Time) (string, string)) disaster {
	d := disaster{name: name, driver: driver, moment: moment{name: fmt.Sprintf("%.0f%% of the room", 100*part)}, judge: judge, next: true, saves: driver == "qemu"} // of another disk there is another snapshot
	var s *small
	d.prepare = func(_ context.Context, h *host) (on *host, _ func() error, err error) {
		at := filepath.Join(h.cache, "saigen", kind)
		need, err := occupied(at)
		if err == nil && need == 0 {
			err = fmt.Errorf("there is nothing in %s", at)
		}
		if err != nil {
			return nil, nil, err
		}
		if s, err = newSmall(at, max(onePage, int64(part*float64(need))), ""); err != nil {
			return nil, nil, err
		}
		on, err = s.host(h)
		return on, s.close, err
	}
	d.strike = func(context.Context, *host, *process) (func() error, error) {
		return s.empty, nil
	}
	return d
}

// occupied is what the files below a folder occupy, in bytes.
func occupied(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(name, &st)
		}
		sum += st.Blocks * 512
		return ignoreMissing(err)
	})
	return sum, ignoreMissing(err)
}
