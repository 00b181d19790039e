package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// interruptTime is how long a saigen that was interrupted may take to clean up.
const interruptTime = time.Minute

// run runs a program, shows what it says as it says it, and returns how long it took. What it printed last is in its error.
func (w *work) run(ctx context.Context, env []string, argv ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = w.repository
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = interruptTime
	var said tail
	cmd.Stdout, cmd.Stderr = &said, &said
	if w.verbose {
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&said, os.Stderr), io.MultiWriter(&said, os.Stderr)
	}
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", strings.Join(append([]string{filepath.Base(argv[0])}, argv[1:]...), " "), err, said)
	}
	return time.Since(began), nil
}

// tail keeps the last of what a program says.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	const most = 4000
	*t = append(*t, p...)
	if extra := len(*t) - most; extra > 0 {
		*t = append(tail{}, (*t)[extra:]...)
	}
	return len(p), nil
}

func (t tail) String() string { return string(t) }

// saigenRun runs the lab. Its evidence is in a folder of ours, its cache the user's unless cache is set.
func (w *work) saigenRun(ctx context.Context, cache string, args ...string) (time.Duration, error) {
	return w.saigenRunIn(ctx, filepath.Join(w.dir, "state"), cache, args...)
}

func (w *work) saigenRunIn(ctx context.Context, state, cache string, args ...string) (time.Duration, error) {
	env := []string{"XDG_STATE_HOME=" + state}
	if cache != "" {
		env = append(env, "XDG_CACHE_HOME="+cache)
	}
	argv := append([]string{w.saigen, "run"}, strings.Fields(theLab)...)
	return w.run(ctx, env, append(argv, args...)...)
}

func measureLab(ctx context.Context, w *work) error {
	machine, services, ref, err := w.stores(ctx)
	if err != nil {
		return err
	}
	n := 2
	if w.quick {
		n = 1
	}
	return turns(ctx, n, func(i int) error {
		took, err := w.saigenRun(ctx, "", "--driver", "container")
		if err != nil {
			return err
		}
		w.saigenTook("lab", took.Seconds())
		w.say("saigen's run %d of %d took %.1f s", i+1, n, took.Seconds())
		return nil
	}, func(i int) error {
		dir := filepath.Join(w.dir, fmt.Sprint("lab", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		env := []string{"DIR=" + dir, "LAB=" + filepath.Join(w.repository, labDir), "IMAGE=" + ref, "SERVICES=" + services}
		took, err := w.run(ctx, env, w.script("engine.sh"), filepath.Join(w.dir, fmt.Sprint("e", i)), machine, w.script("stale-dns.sh"))
		if err != nil {
			return err
		}
		w.handTook("lab", took.Seconds())
		w.say("script %d of %d took %.1f s", i+1, n, took.Seconds())
		return nil
	})
}

// stores are the image stores of the lab's machine and services, which are made where they are missing.
func (w *work) stores(ctx context.Context) (machine, services, ref string, err error) {
	l, err := w.lab()
	if err != nil {
		return "", "", "", err
	}
	var all []image.Built
	for _, img := range l.Images {
		role := image.Service
		if lab.ImageRef("image."+img.Name) == l.Machines[0].Image {
			role = image.Machine
		}
		b, err := w.images.Build(ctx, img, role, l.Dir, w.say)
		if err != nil {
			return "", "", "", err
		}
		if role == image.Service {
			all = append(all, b)
			continue
		}
		if machine, ref, err = w.images.MachineStore(ctx, b, w.say); err != nil {
			return "", "", "", err
		}
	}
	services, err = w.images.ServiceStore(ctx, all, w.say)
	return machine, services, ref, err
}

// cache is one of ours, so that images and snapshots that are made here go with it.
func (w *work) cache() string { return filepath.Join(w.dir, "cache") }

// again runs the lab twice, the first time with an empty cache.
func (w *work) again(ctx context.Context, driver string) error {
	line := "again-" + driver
	first, err := w.saigenRun(ctx, w.cache(), "--driver", driver)
	if err != nil {
		return err
	}
	w.handTook(line, first.Seconds())
	w.say("the first run took %.1f s", first.Seconds())
	again, err := w.saigenRun(ctx, w.cache(), "--driver", driver)
	if err != nil {
		return err
	}
	w.saigenTook(line, again.Seconds())
	w.say("the second run took %.1f s", again.Seconds())
	return nil
}

// measureRunsQEMU measures runs of the lab on VMs. What the first ones could not show does not keep the repetitions from being
// measured.
func measureRunsQEMU(ctx context.Context, w *work) error {
	var again, repeated error
	if w.wanted("again-qemu") {
		again = w.again(ctx, "qemu")
	}
	if w.wanted("repeat") && ctx.Err() == nil {
		repeated = w.repetitions(ctx)
	}
	return errors.Join(again, repeated)
}

func measureValidate(ctx context.Context, w *work) error {
	const labs = 100
	for i := range labs {
		to := filepath.Join(w.dir, "labs", fmt.Sprint(i))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.CopyFS(to, os.DirFS(filepath.Join(w.repository, labDir))); err != nil {
			return err
		}
	}
	all := filepath.Join(w.dir, "labs")
	return turns(ctx, w.few(10), func(int) error {
		took, err := w.run(ctx, nil, w.saigen, "validate", all)
		w.saigenTook("validate", took.Seconds())
		return err
	}, func(i int) error {
		if i >= 3 { // it takes as long each time
			return nil
		}
		took, err := w.run(ctx, nil, "sh", "-c", `for lab in "$1"/*; do "$0" validate "$lab" || exit; done`, w.saigen, all)
		w.handTook("validate", took.Seconds())
		return err
	})
}

// repetitions repeats the lab with a state of its own, whose evidence it reads.
func (w *work) repetitions(ctx context.Context) error {
	n, state := w.few(w.repeat), filepath.Join(w.dir, "repeated")
	_, err := w.saigenRunIn(ctx, state, w.cache(), "--driver", "qemu", "--fresh", "--repeat", fmt.Sprint(n))
	// What a host that is too slow makes of the verdict does not change how long the restores took.
	var ended *exec.ExitError
	if slow := errors.As(err, &ended) && (ended.ExitCode() == runner.ExitUnexpected || ended.ExitCode() == runner.ExitInconclusive); err != nil && !slow {
		return err
	}
	verdicts, err := filepath.Glob(filepath.Join(state, "saigen", "runs", "*", "*", runner.VerdictFile))
	if err != nil {
		return err
	}
	boots, reproduced := 0, 0
	for _, v := range verdicts {
		data, err := os.ReadFile(v)
		if err != nil {
			return err
		}
		var o runner.Outcome
		if err := json.Unmarshal(data, &o); err != nil {
			return err
		}
		if o.Verdict == lab.Reproduced {
			reproduced++
		}
		for _, a := range o.Arms {
			switch b := a.Begun; {
			case b == nil: // it never came to its baseline
			case b.Snapshot == "":
				return errors.New("an arm was not started from a snapshot")
			case b.Made:
				boots++
				w.handTook("repeat", (b.Boot + b.Stacks + b.Ready).Seconds())
			default:
				w.saigenTook("repeat", b.Restore.Seconds())
			}
		}
	}
	if len(verdicts) != n || boots != 1 {
		return fmt.Errorf("%d repetitions gave %d verdicts and booted %d times", n, len(verdicts), boots)
	}
	w.say("the incident was reproduced %d times of %d", reproduced, n)
	return nil
}
