package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
	"github.com/saigen-lab/saigen/runner"
)

// examples is where the labs are that scenarios use, in the repository.
const examples = "docs/examples"

// host is the real saigen with folders of its own, and the host as it was before.
type host struct {
	options
	repository string
	dir        string   // labs, state and temporary files
	cache      string   // XDG_CACHE_HOME: a copy, since scenarios may damage it
	env        []string // of saigen, besides this process's own
	say        func(format string, args ...any)
	prefix     []string // of saigen's command line: what puts it where it sees the host as a scenario wants it
	groups     *ledger.Hierarchy
	group      *os.File // cgroup in which every saigen begins: what it leaves behind can be told from what else happens on the host

	before ledger.Inventory
}

// sharedHost says whether other things happen on this host: only what carries a run's id is compared then.
func sharedHost() bool { return os.Getenv("SAIGEN_SHARED_HOST") != "" }

// openHost makes the folders that scenarios share. The path is short: there will be sockets in it.
func openHost(o options, repository string) (*host, error) {
	var err error
	if o.saigen, err = filepath.Abs(o.saigen); err != nil {
		return nil, err
	}
	if _, err := os.Stat(o.saigen); err != nil {
		return nil, fmt.Errorf("cannot find saigen: %w; make build makes it", err)
	}
	h := &host{options: o, repository: repository}
	if h.groups, err = ledger.OpenHierarchy(); err != nil {
		return nil, err
	}
	if h.group, err = h.groups.Make(fmt.Sprintf("saigen-torture-%d", os.Getpid())); err != nil {
		return nil, errors.Join(err, h.groups.Close())
	}
	if h.dir, err = os.MkdirTemp("", "saigen-torture-"); err != nil {
		return nil, errors.Join(err, h.ungroup(context.Background()))
	}
	h.cache = filepath.Join(h.dir, "cache")
	return h, nil
}

// ungroup removes the cgroup, and every process that is still in it.
func (h *host) ungroup(ctx context.Context) error {
	return errors.Join(h.group.Close(), h.groups.Remove(ctx, h.groupName()), h.groups.Close())
}

func (h *host) groupName() string { return filepath.Base(h.group.Name()) }

// close removes what is left of any run, and the folders.
func (h *host) close(ctx context.Context) error {
	var errs []error
	states, err := filepath.Glob(filepath.Join(h.dir, "*", "state"))
	errs = append(errs, err)
	for _, s := range states {
		one := h.with("XDG_CACHE_HOME="+h.cache, "XDG_STATE_HOME="+s)
		errs = append(errs, one.remove(ctx))
	}
	errs = append(errs, h.ungroup(ctx))
	if errors.Join(errs...) != nil { // what the ledgers in it name can be removed by hand then
		return fmt.Errorf("cannot clean up; %s stays: %w", h.dir, errors.Join(errs...))
	}
	return os.RemoveAll(h.dir)
}

// scenario returns the host of one scenario: with a state of its own, and as it is now.
func (h *host) scenario(name string, say func(format string, args ...any)) (*host, error) {
	one := *h
	one.dir, one.say = filepath.Join(h.dir, name), say
	one.env = []string{"XDG_CACHE_HOME=" + h.cache, "XDG_STATE_HOME=" + filepath.Join(one.dir, "state"), "TMPDIR=" + one.tmp()}
	for dir, mode := range map[string]fs.FileMode{one.tmp(): 0o1777, one.folder(): 0o755, h.cache: 0o755} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return nil, err
		}
	}
	return &one, one.remember()
}

// remember takes the host as it is now for what it must be afterwards.
func (h *host) remember() (err error) {
	h.before, err = h.look()
	return err
}

// look lists what a run could leave: not in the cache, in which images stay, and not in the folder of runs, in which evidence does.
func (h *host) look() (ledger.Inventory, error) {
	return ledger.Take("/run", "/var/lib/containers", "/var/lib/cni", "/etc/cni", "/etc/containers", "/var/tmp", "/dev/shm", h.tmp(), filepath.Join(h.dir, "labs"))
}

// with returns the same host, with more in saigen's environment.
func (h *host) with(env ...string) *host {
	one := *h
	one.env = append(slices.Clone(h.env), env...)
	return &one
}

func (h *host) tmp() string { return filepath.Join(h.dir, "tmp") }

// folder has a folder for each run.
func (h *host) folder() string { return filepath.Join(h.dir, "state", "saigen", "runs") }

// lab copies one of the examples, or a lab of testdata, and returns the path of the copy.
func (h *host) lab(from string) (string, error) {
	to := filepath.Join(h.dir, "labs", filepath.Base(from))
	if _, err := os.Stat(to); err == nil {
		return to, nil
	}
	if err := os.CopyFS(to, os.DirFS(filepath.Join(h.repository, from))); err != nil {
		return "", err
	}
	return to, h.remember()
}

// folders lists the runs that there are.
func (h *host) folders() map[lab.RunID]bool {
	entries, _ := os.ReadDir(h.folder()) // none before the first run
	all := map[lab.RunID]bool{}
	for _, e := range entries {
		all[lab.RunID(e.Name())] = true
	}
	return all
}

// described is the folder of a run in which saigen has described the host.
func (h *host) described() string {
	found, _ := filepath.Glob(filepath.Join(h.dir, "*", "state", "saigen", "runs", "*", "run.json"))
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[0])
}

// said is what a saigen has come to.
type said struct {
	args   []string
	exit   int // -1: it was killed, or could not be started
	out    string
	stderr string
	took   time.Duration
	run    lab.RunID // that it began; empty: none
}

func (s said) err() error {
	return fmt.Errorf("saigen %s: exit code %d after %.1f s:\n%s%s", strings.Join(s.args, " "), s.exit, s.took.Seconds(), s.out, s.stderr)
}

// line is what it came to in one line.
func (s said) line() string {
	all := strings.TrimSpace(s.out + s.stderr)
	if len(all) > 600 {
		all = "…" + all[len(all)-600:]
	}
	return fmt.Sprintf("saigen %s ended with exit code %d after %.1f s: %s", strings.Join(s.args, " "), s.exit, s.took.Seconds(), strings.ReplaceAll(all, "\n", " / "))
}

// command is saigen with arguments, in the host's folders.
func (h *host) command(args ...string) *exec.Cmd {
	argv := append(append(slices.Clone(h.prefix), h.options.saigen), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = h.dir, append(os.Environ(), h.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(h.group.Fd())}
	return cmd
}

// saigen runs a command to its end. One that does not end in time is interrupted, and killed when that does not help.
func (h *host) saigen(ctx context.Context, within time.Duration, args ...string) said {
	p, err := h.start(args...)
	if err != nil {
		return said{args: args, exit: -1, stderr: err.Error()}
	}
	return p.wait(ctx, within)
}

// process is a saigen under way.
type process struct {
	h     *host
	args  []string
	cmd   *exec.Cmd
	began time.Time
	there map[lab.RunID]bool // runs that it has not begun
	ended chan struct{}

	out, stderr bytes.Buffer
}

func (h *host) start(args ...string) (*process, error) {
	p := &process{h: h, args: args, cmd: h.command(args...), there: h.folders(), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.stderr
	p.cmd.SysProcAttr.Setpgid = true // ^C at the terminal is torture's alone
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start saigen: %w", err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	return p, nil
}

// wait waits for the end.
func (p *process) wait(ctx context.Context, within time.Duration) said {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.stop()
	case <-timer.C:
		p.stop()
		fmt.Fprintf(&p.stderr, "it did not end within %s\n", within)
	}
	return said{args: p.args, exit: p.cmd.ProcessState.ExitCode(), out: p.out.String(), stderr: p.stderr.String(), took: time.Since(p.began), run: p.run()}
}

// run is the run that it has begun; empty: none yet. Of several that are started at once it may be another's.
func (p *process) run() lab.RunID {
	for id := range p.h.folders() {
		if !p.there[id] {
			return id
		}
	}
	return ""
}

// stop interrupts, so that it cleans up, and then kills.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.ended:
	case <-time.After(cleanTime):
		p.kill()
	}
}

// kill kills saigen alone, and not what it has started.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// How long saigen may take to do its whole work, which is longer than its own limit for a boot, and to clean up.
const (
	wholeTime = 8 * time.Minute
	cleanTime = 2 * time.Minute
)

// gc removes what killed runs have left, and returns how long that took.
func (h *host) gc(ctx context.Context) (time.Duration, error) {
	got := h.saigen(ctx, cleanTime, "gc")
	if got.exit != 0 {
		return got.took, errors.New(got.line())
	}
	return got.took, nil
}

// whole runs a lab to its end, which must be the verdict that it expects.
func (h *host) whole(ctx context.Context, args ...string) (said, error) {
	got := h.saigen(ctx, wholeTime, append([]string{"run"}, args...)...)
	if got.exit != 0 {
		return got, errors.New(got.line())
	}
	return got, h.right(got.run)
}

// right demands that every trial of a run got the verdict reproduced, which all labs here expect.
func (h *host) right(run lab.RunID) error {
	files, err := filepath.Glob(filepath.Join(h.folder(), string(run), "*", runner.VerdictFile))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("run %s has no verdict", run)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		var o runner.Outcome
		if err := json.Unmarshal(data, &o); err != nil {
			return err
		}
		if o.Verdict != lab.Reproduced {
			return fmt.Errorf("run %s: the verdict is %s", run, o.Verdict)
		}
	}
	return nil
}

// settles is how long what was killed may take to be gone.
const settles = 10 * time.Second

// left lists what the host has more of than before, of a run; when the host is not shared, whatever it is of, but processes
// that no saigen has started.
func (h *host) left(ctx context.Context, run lab.RunID) ([]string, error) {
	scope := ledger.EverythingOf(h.groupName(), run)
	if sharedHost() {
		scope = ledger.OfRun(run)
	}
	limit, tick := time.After(settles), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		now, err := h.look()
		if err != nil {
			return nil, err
		}
		left, err := h.debris()
		if err != nil {
			return nil, err
		}
		for _, l := range h.before.Left(now, scope) {
			left = append(left, l.String())
		}
		if len(left) == 0 {
			return nil, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-limit:
			return left, nil
		}
	}
}

// debris lists files in folders of this host alone that should not be there when nothing runs, whatever run they are of.
func (h *host) debris() (left []string, err error) {
	patterns := []string{
		filepath.Join(h.tmp(), "*"), filepath.Join(h.folder(), "*", "scratch"), filepath.Join(h.folder(), "*", "*.new"),
		filepath.Join(h.cache, "saigen", "*", "*.tmp-*"), filepath.Join(h.dir, "labs", "*", ".*"),
	}
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			left = append(left, "file "+f)
		}
	}
	return left, nil
}
