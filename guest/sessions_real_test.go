package guest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

var accounts = []lab.Account{
	{Name: "lin", Session: lab.SessionLinger},
	{Name: "log", Session: lab.SessionLogin},
	{Name: "sue", Session: lab.SessionSu},
	{Name: "non", Session: lab.SessionNone},
}

const (
	// holders prints what changes when a holder is started again.
	holders = "stat -c '%n %i %z' /run/saigen/hold/*/sock"
	// killAllOf kills every process of an account, as a fault does.
	killAllOf = `kill_all() {
  left=1
  while [ $left = 1 ]; do
    left=0
    for p in /proc/[0-9]*; do
      [ "$(stat -c %U $p 2>/dev/null)" = "$1" ] && kill -KILL ${p#/proc/} 2>/dev/null && left=1
    done
  done
}
kill_all`
)

// text runs a script that must succeed.
func text(t *testing.T, c *guest.Client, account, script string) string {
	t.Helper()
	cmd := lab.Command{Argv: []string{"bash", "-c", script}, Account: account}
	r, err := c.Run(context.WithoutCancel(t.Context()), cmd) // also in a Cleanup
	if err == nil {
		err = r.Err(cmd)
	}
	if err != nil {
		t.Fatalf("as %q: %s", account, drivertest.Explain(err))
	}
	return strings.TrimSpace(string(r.Stdout))
}

// TestRealSessions is docs/sessions.md as a test.
func TestRealSessions(t *testing.T) {
	c := realMachine(t)
	checkSessions(t, c)

	t.Run("again", func(t *testing.T) {
		before := text(t, c, "", holders)
		if err := c.AddAccounts(t.Context(), accounts); err != nil {
			t.Fatal(drivertest.Explain(err))
		}
		if after := text(t, c, "", holders); after != before {
			t.Errorf("adding the same accounts changed the holders from\n%s\nto\n%s", before, after)
		}
	})
	t.Run("reopened", func(t *testing.T) {
		for _, a := range accounts {
			// As a fault does: everything of the account at once, its manager included.
			killed := make(chan error, 1)
			up, pipe := io.Pipe()
			go func() {
				r, err := c.Run(t.Context(), lab.Command{Argv: []string{"sh", "-c", "echo up; exec sleep 1000"}, Account: a.Name, Stdout: pipe})
				var infra *lab.InfraError
				if !errors.As(err, &infra) && r.Signal != "SIGKILL" {
					err = fmt.Errorf("got %+v, %w", r, err)
				} else {
					err = nil
				}
				killed <- err
			}()
			if _, err := io.ReadFull(up, make([]byte, 3)); err != nil {
				t.Fatal(err)
			}
			text(t, c, "", killAllOf+" "+a.Name+"; true")
			// Either the holder had the time to see the command die, or it died first.
			if err := <-killed; err != nil {
				t.Errorf("a command of %s whose session is killed: %v", a.Name, err)
			}
		}
		checkSessions(t, c)
	})
	t.Run("manager killed", func(t *testing.T) {
		text(t, c, "", "systemctl kill -s KILL user@1000.service; while systemctl is-active -q user@1000.service; do :; done")
		checkSessions(t, c)
	})
	t.Run("refused", func(t *testing.T) {
		text(t, c, "", "systemctl mask --runtime -q user@1000.service; systemctl kill -s KILL user@1000.service; while systemctl is-active -q user@1000.service; do :; done")
		defer func() {
			text(t, c, "", "systemctl unmask --runtime -q user@1000.service")
			checkSessions(t, c)
		}()
		_, err := c.Run(t.Context(), lab.Command{Argv: []string{"true"}, Account: "lin"})
		var infra *lab.InfraError
		if !errors.As(err, &infra) || !strings.Contains(infra.What, "cannot open a session of kind linger for account lin") ||
			!strings.Contains(infra.Tail, "user@1000.service") {
			t.Errorf("got %v", err)
		} else {
			t.Logf("%s", drivertest.Explain(err))
		}
	})
}

func checkSessions(t *testing.T, c *guest.Client) {
	t.Helper()
	const facts = `echo "uid=$(id -u)"; echo "cgroup=$(cut -d: -f3 < <(grep ^0:: /proc/self/cgroup))"; echo "runtime=$XDG_RUNTIME_DIR"
echo "bus=$DBUS_SESSION_BUS_ADDRESS"; echo "session=$XDG_SESSION_ID"; echo "class=$XDG_SESSION_CLASS"; echo "home=$HOME $PWD"; echo "path=$PATH"`
	for _, test := range []struct{ account, want string }{
		{"lin", "uid=1000 cgroup=/user.slice/user-1000.slice/user@1000.service/app.slice/saigen-linger-lin-*.service runtime=/run/user/1000 " +
			"bus=unix:path=/run/user/1000/bus session= class= home=/home/lin /home/lin path=/usr/local/sbin:*"},
		{"log", "uid=1001 cgroup=/user.slice/user-1001.slice/session-*.scope runtime=/run/user/1001 " +
			"bus=unix:path=/run/user/1001/bus session=* class=user home=/home/log /home/log path=/usr/local/bin:/usr/bin:/bin:*"},
		{"sue", "uid=1002 cgroup=/user.slice/user-0.slice/session-*.scope runtime= bus= session= class= home=/home/sue /home/sue path=/usr/local/bin:/usr/bin:/bin:*"},
		{"non", "uid=1003 cgroup=/system.slice/saigen-agent.service runtime= bus= session= class= home=/home/non /home/non path=/usr/local/bin:/usr/bin:/bin"},
	} {
		got := strings.ReplaceAll(text(t, c, test.account, facts), "\n", " ")
		// Slashes are nothing special here.
		if ok, err := filepath.Match(strings.ReplaceAll(test.want, "/", "|"), strings.ReplaceAll(got, "/", "|")); !ok || err != nil {
			t.Errorf("account %s: got\n%s, want\n%s", test.account, got, test.want)
		}
	}
	sessions := text(t, c, "", "loginctl list-sessions --no-legend | awk '{print $3}' | sort")
	if sessions != "log\nroot" {
		t.Errorf("logged in are %q, want log, and root for su", sessions)
	}
	managers := text(t, c, "", "systemctl list-units --no-legend --state=active 'user@*.service' | awk '{print $1}' | sort")
	if managers != "user@0.service\nuser@1000.service\nuser@1001.service" {
		t.Errorf("user managers: %q", managers)
	}
	if users := text(t, c, "", "loginctl list-users --no-legend | awk '$3 == \"yes\" {print $2}'"); users != "lin" {
		t.Errorf("lingering are %q\n%s", users, text(t, c, "", "loginctl list-users; loginctl show-user lin; ls /var/lib/systemd/linger; journalctl -u systemd-logind -n 12 --no-pager; true"))
	}
}

// TestRealAgentRestarts: what runs in a session does not notice that the agent was started again.
func TestRealAgentRestarts(t *testing.T) {
	c, socket := realMachineAt(t)
	before := text(t, c, "", holders)
	_, _ = c.Run(t.Context(), lab.Command{Argv: []string{"systemctl", "kill", "-s", "KILL", "--kill-who=main", "saigen-agent.service"}})
	<-c.Lost()
	c = dial(t, socket)
	if after := text(t, c, "", holders); after != before {
		t.Errorf("the holders changed from\n%s\nto\n%s", before, after)
	}
	checkSessions(t, c)
}

func TestRealTTY(t *testing.T) {
	c := realMachine(t)
	for _, a := range accounts {
		r, err := c.Run(t.Context(), lab.Command{
			Argv: []string{"bash", "-c", "stat -c %U $(tty); stty size; echo $TERM"}, Account: a.Name,
			TTY: &lab.TTY{Term: "vt100", Rows: 33, Cols: 99},
		})
		if want := a.Name + "\r\n33 99\r\nvt100\r\n"; err != nil || string(r.Stdout) != want {
			t.Errorf("as %s: got %q, %v, want %q", a.Name, r.Stdout, err, want)
		}
	}
}

func TestRealPut(t *testing.T) {
	c := realMachine(t)
	if err := c.Put(t.Context(), lab.File{Path: "/home/log/a/b/file", Data: []byte("hello"), Mode: 0o640, Owner: "log"}); err != nil {
		t.Fatal(err)
	}
	got := text(t, c, "", "cd /home/log; stat -c '%n %U:%G %a' a a/b a/b/file; ls -A a/b; cat a/b/file")
	if want := "a log:log 755\na/b log:log 755\na/b/file log:log 640\nfile\nhello"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := c.Put(t.Context(), lab.File{Path: "/etc/x", Owner: "nobody-of-that-name"}); err == nil {
		t.Error("wrote a file of an account that does not exist")
	}
}

// TestRealRoundTrip measures; the budget is 2 ms on a host that does nothing else.
func TestRealRoundTrip(t *testing.T) {
	c := realMachine(t)
	for _, a := range []string{"", "lin", "log", "sue", "non"} {
		var best time.Duration
		for range 300 {
			began := time.Now()
			if _, err := c.Run(t.Context(), lab.Command{Argv: []string{"true"}, Account: a}); err != nil {
				t.Fatal(drivertest.Explain(err))
			}
			if took := time.Since(began); best == 0 || took < best {
				best = took
			}
		}
		t.Logf("true as %q: %v at best", a, best)
		if best > 2*time.Millisecond {
			t.Errorf("true as %q takes %v at best", a, best)
		}
	}
}

// TestRealLoggedIn: a terminal that is open beside a session of another kind, and that nobody opens again.
func TestRealLoggedIn(t *testing.T) {
	c := realMachine(t)
	if err := c.AddAccounts(t.Context(), append(accounts, lab.Account{Name: "ter", Session: lab.SessionSu, LoggedIn: true})); err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	const facts = `echo "runtime=$XDG_RUNTIME_DIR"; grep -o user-[0-9]*.slice/session /proc/self/cgroup; stat -c %U /run/user/$(id -u); systemctl is-active user@$(id -u).service`
	if got := text(t, c, "ter", facts); got != "runtime=\nuser-0.slice/session\nter\nactive" {
		t.Errorf("as ter:\n%s", got)
	}
	const sessions = `loginctl list-sessions --no-legend | awk '{print $3}' | sort | tr '\n' ' '`
	if got := text(t, c, "", sessions); got != "log root root ter" {
		t.Errorf("logged in are %q", got)
	}
	// logind forgets the user before user-runtime-dir@.service has removed the folder.
	text(t, c, "", "systemctl stop saigen-login-ter.service; timeout 60 sh -c 'while loginctl show-user ter >/dev/null 2>&1 || [ -e /run/user/1004 ]; do sleep 0.1; done'")
	if got := text(t, c, "ter", "ls /run/user | grep -c 1004; true"); got != "0" {
		t.Errorf("%s folders of ter are left", got)
	}
	if got := text(t, c, "", sessions); got != "log root root" {
		t.Errorf("logged in are %q, after ter has logged out and a command has run as ter", got)
	}
}
