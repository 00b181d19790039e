package guest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// start starts the session's holder. The channel yields when the holder is known to have ended before it answered.
//
//	linger  enable-linger; the holder is a transient unit of the account's manager. Nobody is logged in. When the
//	        manager goes the holder goes, and it keeps no manager alive: the lingering does.
//	login   a transient unit of the system with PAMName=login: PAM and logind make a session-N.scope, as for ssh.
//	        The session is open as long as the holder lives; that is what "logged in" means.
//	su      root is logged in through PAM as above, and from there `su - account`: pam_systemd makes no second
//	        session inside a session, so the account has none of its own, no runtime folder and no manager.
//	none    the agent's child with the account's ids: no PAM, no session, in the agent's cgroup.
//
// What the commands left running (conmon, containers) survives the holder, as it survives a shell: by KillMode=process,
// and in a PAM session because its processes are in the session's scope, outside of the unit (which with PAM cannot
// have that kill mode).
func (x *session) start(ctx context.Context, socket string) (<-chan error, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	hold := []string{self, "guest", "hold", "--socket", socket}
	x.unit = "saigen-" + string(x.kind) + "-" + x.ids.name + "-" + strings.ToLower(rand.Text()[:6]) + ".service"
	switch x.kind {
	case lab.SessionLinger:
		return x.startLinger(ctx, hold)
	case lab.SessionLogin:
		// A login shell reads the profiles and then becomes the holder.
		return x.startUnit(ctx, x.ids.name, []string{"/bin/bash", "-l", "-c", "exec " + strings.Join(hold, " ")})
	case lab.SessionSu:
		return x.startUnit(ctx, "root", []string{"/bin/su", "-", x.ids.name, "-c", "exec " + strings.Join(hold, " ")})
	case lab.SessionNone:
		x.unit = ""
		return x.startChild(hold)
	}
	return nil, fmt.Errorf("unknown session %q", x.kind)
}

func (x *session) startLinger(ctx context.Context, hold []string) (<-chan error, error) {
	if err := x.linger(ctx); err != nil {
		return nil, err
	}
	runtime := "/run/user/" + strconv.Itoa(x.ids.uid)
	env := append(x.minimalEnv(), "XDG_RUNTIME_DIR="+runtime)
	if x.hasBus() {
		bus := filepath.Join(runtime, "bus")
		if err := waitFor(ctx, pollEvery, func() bool { _, err := os.Stat(bus); return err == nil }); err != nil {
			return nil, fmt.Errorf("%s does not come up: %w", bus, err)
		}
		env = append(env, "DBUS_SESSION_BUS_ADDRESS=unix:path="+bus)
	}
	cmd := exec.CommandContext(ctx, "systemd-run", append([]string{"--user", "--quiet", "--collect", "--unit=" + x.unit,
		"--property=KillMode=process", "--property=Type=exec", "--description=saigen holder"}, hold...)...)
	cmd.Env = env
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: x.credential()}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, &toolError{name: "systemd-run --user", err: err, out: strings.TrimSpace(string(out))}
	}
	return nil, nil
}

// hasBus says whether the account's manager brings a bus: dbus-user-session is installed, and the account has not masked it. Without one, the
// session has no DBUS_SESSION_BUS_ADDRESS, as a login has none from PAM.
func (x *session) hasBus() bool {
	if _, err := os.Stat("/usr/lib/systemd/user/dbus.socket"); err != nil {
		return false
	}
	masked, _ := os.Readlink(filepath.Join(x.ids.home, ".config/systemd/user/dbus.socket"))
	return masked != "/dev/null"
}

// linger returns when the account's manager runs and logind knows that it lingers. Lingering starts the manager, but in
// its own time, and not again after it was killed; starting it by name waits. logind forgets an account whose manager
// died, and may be about to while we start it again: then it must be told once more.
func (x *session) linger(ctx context.Context) error {
	tick := time.NewTicker(10 * pollEvery)
	defer tick.Stop()
	for {
		if err := tool(ctx, "loginctl", "enable-linger", x.ids.name); err != nil {
			return err
		}
		if err := tool(ctx, "systemctl", "start", "user@"+strconv.Itoa(x.ids.uid)+".service"); err != nil {
			return err
		}
		state, err := exec.CommandContext(ctx, "loginctl", "show-user", "--value", "--property=State", x.ids.name).Output()
		if err == nil && strings.TrimSpace(string(state)) != "closing" {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("logind does not keep the account: %w", context.Cause(ctx))
		}
	}
}

// startUnit starts the holder in a PAM session of the user.
func (x *session) startUnit(ctx context.Context, user string, argv []string) (<-chan error, error) {
	if err := runLogin(ctx, x.unit, user, "saigen holder of account "+x.ids.name, argv); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		err := waitFor(ctx, 200*time.Millisecond, func() bool { return tool(ctx, "systemctl", "--quiet", "is-active", x.unit) != nil })
		if err == nil {
			ended <- errors.New(x.unit + " is not active any more")
		}
	}()
	return ended, nil
}

func (x *session) startChild(hold []string) (<-chan error, error) {
	cmd := exec.Command(hold[0], hold[1:]...)
	cmd.Env = x.minimalEnv()
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: x.credential(), Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended, nil
}

func (x *session) minimalEnv() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + x.ids.home, "USER=" + x.ids.name,
		"LOGNAME=" + x.ids.name, "SHELL=/bin/bash"}
}

func (x *session) credential() *syscall.Credential {
	c := &syscall.Credential{Uid: uint32(x.ids.uid), Gid: uint32(x.ids.gid)}
	for _, g := range groupsOf(x.ids.name) {
		c.Groups = append(c.Groups, uint32(g))
	}
	return c
}

// groupsOf lists the account's further groups from /etc/group, as initgroups would.
func groupsOf(account string) []int {
	data, err := os.ReadFile("/etc/group")
	if err != nil {
		return nil
	}
	var out []int
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 4 {
			continue
		}
		for member := range strings.SplitSeq(f[3], ",") {
			if gid, err := strconv.Atoi(f[2]); err == nil && member == account {
				out = append(out, gid)
			}
		}
	}
	return out
}

// explain collects what systemd says about a session that did not open.
func (x *session) explain() string {
	// The reason is wanted also when the time is up.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var b strings.Builder
	say := func(name string, args ...string) {
		out, _ := exec.CommandContext(ctx, name, args...).CombinedOutput()
		if text := strings.TrimSpace(string(out)); text != "" {
			b.WriteString("$ " + name + " " + strings.Join(args, " ") + "\n" + text + "\n")
		}
	}
	uid := strconv.Itoa(x.ids.uid)
	if x.kind == lab.SessionLinger {
		say("systemctl", "status", "--no-pager", "--full", "--lines=8", "user@"+uid+".service")
		say("journalctl", "--no-pager", "--lines=8", "--output=cat", "_UID="+uid)
	} else if x.unit != "" {
		say("journalctl", "--no-pager", "--lines=12", "--output=cat", "--unit="+x.unit)
		say("loginctl", "--no-pager", "--no-legend", "list-sessions")
	}
	return b.String()
}

// waitFor looks until a condition holds or ctx ends.
func waitFor(ctx context.Context, every time.Duration, holds func() bool) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
