package faults

import (
	"context"
	"fmt"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// job is a program that goes on in the background of a machine, as a transient unit: of the account's user manager where
// there is one, so that it has what a program of that account has, and of the system otherwise.
type job struct {
	m       lab.Running
	account string // empty: root
	unit    string // "saigen-drive-alice.service"
}

// start starts the program; one that runs already under this name is ended first.
func (j job) start(ctx context.Context, argv ...string) error {
	if err := j.stop(ctx); err != nil {
		return err
	}
	managed, err := j.managed(ctx)
	if err != nil {
		return err
	}
	by, begin := "", []string{"systemd-run", "--quiet", "--unit", j.unit}
	switch {
	case managed:
		by, begin = j.account, []string{"systemd-run", "--user", "--quiet", "--unit", j.unit, "--working-directory", "/home/" + j.account}
	case j.account != "":
		begin = append(begin, "--uid", j.account, "--working-directory", "/home/"+j.account)
	}
	// RemainAfterExit: how a program that ended by itself did so can still be asked.
	_, err = do(ctx, j.m, by, append(append(begin, "-p", "RemainAfterExit=yes", "--"), argv...)...)
	return err
}

// stop ends the program and what it started; one that is not there is fine.
func (j job) stop(ctx context.Context) error {
	managed, err := j.managed(ctx)
	if err != nil {
		return err
	}
	if managed {
		if err := j.end(ctx, j.account, "systemctl", "--user"); err != nil {
			return err
		}
	}
	return j.end(ctx, "", "systemctl")
}

func (j job) end(ctx context.Context, by string, systemctl ...string) error {
	run := func(args ...string) []string { return append(append([]string{}, systemctl...), args...) }
	r, err := do(ctx, j.m, by, run("show", "-p", "LoadState", "--value", j.unit)...)
	if err != nil || strings.TrimSpace(string(r.Stdout)) == "not-found" {
		return err
	}
	if _, err := do(ctx, j.m, by, run("stop", j.unit)...); err != nil {
		return err
	}
	_, err = try(ctx, j.m, by, run("reset-failed", j.unit)...) // see stopUnit
	return err
}

// alive is an error when the program does not run any more: how it ended.
func (j job) alive(ctx context.Context) error {
	managed, err := j.managed(ctx)
	if err != nil {
		return err
	}
	by, argv := "", []string{"systemctl"}
	if managed {
		by, argv = j.account, []string{"systemctl", "--user"}
	}
	r, err := do(ctx, j.m, by, append(argv, "show", "-p", "SubState,Result,ExecMainStatus", j.unit)...)
	if err != nil {
		return err
	}
	facts := strings.Join(strings.Fields(string(r.Stdout)), ", ")
	if !strings.Contains(facts, "SubState=running") {
		return fmt.Errorf("cannot find %s running: %s", j.unit, facts)
	}
	return nil
}

// managed says whether the account has a user manager that answers.
func (j job) managed(ctx context.Context) (bool, error) {
	if j.account == "" {
		return false, nil
	}
	r, err := try(ctx, j.m, j.account, "systemctl", "--user", "show", "-p", "Version")
	return r.Code == 0, err
}
