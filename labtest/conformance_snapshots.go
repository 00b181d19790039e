package labtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// snapshotDriver is what TestSnapshots takes.
type snapshotDriver interface {
	lab.Driver
	lab.Snapshotter
}

// TestSnapshots is the conformance suite of drivers that save machines. The lab is one for TestDriver. clones says that
// several runs can start from one snapshot; a driver that cannot do that answers lab.ErrNoSnapshot to a run that saved nothing.
func TestSnapshots(t *testing.T, driver snapshotDriver, l *lab.Lab, clones bool) {
	t.Helper()
	const run, another lab.RunID = "conformance", "conformance-control"
	prepare(t, driver, l)
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	key := hex.EncodeToString(raw)
	nothing := func(t *testing.T, key string) {
		if m, err := driver.Restore(t.Context(), run, l, key); !errors.Is(err, lab.ErrNoSnapshot) || len(m) > 0 {
			t.Errorf("%d machines from a snapshot that nobody made: %v", len(m), err)
		}
	}
	t.Run("nothing saved", func(t *testing.T) { nothing(t, key) })

	machines := start(t, driver, run, l)
	s := &snapshots{driver: driver, l: l, key: key, accounts: l.Machines[0].Accounts}
	s.leave(t, machines[0])
	s.save(t, run, machines)
	saved := time.Now()
	t.Run("saved machines are gone", func(t *testing.T) {
		for _, m := range machines {
			if _, err := m.Run(t.Context(), lab.Command{Argv: []string{"true"}}); err == nil {
				t.Errorf("a command ran in %s after it was saved", m.Ref())
			}
			if err := m.Destroy(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("restored as it was", func(t *testing.T) {
		back := s.restore(t, run)
		s.check(t, back[0])
		// Saved once more, as by another process, it is not what is found.
		s.put(t, back[0], "changed")
		s.save(t, run, back)
	})
	t.Run("saved twice", func(t *testing.T) {
		back := s.restore(t, run)
		s.check(t, back[0])
		s.destroy(t, back)
	})
	if loader, ok := driver.(lab.Loader); ok {
		t.Run("loaded ahead", func(t *testing.T) {
			unknown := strings.Repeat("0", len(key))
			if err := loader.Load(t.Context(), run, l, unknown); !errors.Is(err, lab.ErrNoSnapshot) {
				t.Errorf("loaded from a snapshot that nobody made: %v", err)
			}
			for range 2 {
				if err := loader.Load(t.Context(), run, l, s.key); err != nil {
					t.Fatal(err)
				}
			}
			back := s.restore(t, run)
			s.check(t, back[0])
			s.destroy(t, back)
			// What was loaded for nothing is in nobody's way.
			if err := loader.Load(t.Context(), run, l, s.key); err != nil {
				t.Fatal(err)
			}
			nothing(t, unknown)
			s.destroy(t, s.restore(t, run))
		})
	}
	t.Run("another key", func(t *testing.T) { nothing(t, strings.Repeat("0", len(key))) })
	t.Run("restore that is given up", func(t *testing.T) {
		// What it leaves behind would be in the way of what follows.
		for _, limit := range []time.Duration{0, 100 * time.Millisecond} {
			hurried, cancel := context.WithTimeout(t.Context(), limit)
			m, err := driver.Restore(hurried, run, l, s.key)
			cancel()
			if (err == nil) != (len(m) == len(l.Machines)) || (limit == 0 && err == nil) || errors.Is(err, lab.ErrNoSnapshot) {
				t.Errorf("after %s: %d machines, %v", limit, len(m), err)
			}
			for _, m := range m {
				_ = m.Destroy(context.Background())
			}
		}
	})
	t.Run("two at once", func(t *testing.T) {
		// Long enough for a clock that was not set to show it.
		<-time.After(time.Until(saved.Add(3 * time.Second / 2)))
		if !clones {
			if m, err := driver.Restore(t.Context(), another, l, s.key); !errors.Is(err, lab.ErrNoSnapshot) || len(m) > 0 {
				t.Errorf("%d machines of another run: %v", len(m), err)
			}
			back := s.restore(t, run)
			s.check(t, back[0])
			s.end(t, back)
			return
		}
		s.independent(t, s.restore(t, run, another))
	})
	if f, ok := driver.(lab.Forgetter); ok {
		t.Run("forgotten", func(t *testing.T) {
			for range 2 {
				if err := f.Forget(t.Context(), run, l, s.key); err != nil {
					t.Fatal(err)
				}
				nothing(t, s.key)
			}
		})
	}
}

type snapshots struct {
	driver   snapshotDriver
	l        *lab.Lab
	key      string
	accounts []lab.Account

	mark     string            // of this test, in the names of its files
	sessions map[string]string // by account, what it is logged in as
}

func (s *snapshots) of(m lab.Running) *suite { return &suite{m: m, accounts: s.accounts} }

func (s *snapshots) file() string { return "/var/tmp/saigen-" + s.mark + "/file" }

// tmpfs is a file in memory, and what begins like it are the files of the process.
func (s *snapshots) tmpfs() string { return "/dev/shm/saigen-" + s.mark }

func (s *snapshots) put(t *testing.T, m lab.Running, text string) {
	t.Helper()
	if err := m.Put(t.Context(), lab.File{Path: s.file(), Data: []byte(text), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
}

// leave makes what must survive: a file, one in memory, a process that counts, and the open sessions. The process is the
// account's own, and ends by itself if the test does not get that far.
func (s *snapshots) leave(t *testing.T, m lab.Running) {
	t.Helper()
	s.mark = rand.Text()
	s.put(t, m, "before")
	at := s.of(m)
	at.run(t, shell("echo "+s.mark+" > "+s.tmpfs()))
	count := fmt.Sprintf(`echo $$ > %[1]s.pid; i=0; while [ $i -lt 6000 ]; do i=$((i+1)); echo $i > %[1]s.count; sleep 0.1; done`, s.tmpfs())
	cmd := lab.Command{Argv: []string{"sh", "-c", `setsid sh -c "$0" > /dev/null 2>&1 < /dev/null &`, count}, Account: s.accounts[0].Name}
	at.run(t, cmd)
	if s.counted(t, m, 0) == 0 {
		t.Fatal("the process that should survive does not run")
	}
	s.sessions = s.loggedIn(t, m)
}

// counted waits until the process has counted beyond a number; 0 when it does not.
func (s *snapshots) counted(t *testing.T, m lab.Running, beyond int) (n int) {
	t.Helper()
	soon(func() bool {
		out := string(s.of(m).run(t, shell("cat "+s.tmpfs()+".count; true")).Stdout)
		n, _ = strconv.Atoi(strings.TrimSpace(out)) // empty when it is being written
		return n > beyond
	})
	if n <= beyond {
		return 0
	}
	return n
}

// loggedIn is by account where its commands run and in which session. A session that was opened again differs.
func (s *snapshots) loggedIn(t *testing.T, m lab.Running) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, a := range s.accounts {
		cmd := shell(`cat /proc/self/cgroup; echo "$XDG_SESSION_ID"`)
		cmd.Account = a.Name
		out[a.Name] = string(s.of(m).run(t, cmd).Stdout)
	}
	return out
}

// save saves machines of a run.
func (s *snapshots) save(t *testing.T, run lab.RunID, machines []lab.Running) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	if err := s.driver.Save(ctx, run, s.l, s.key, machines); err != nil {
		t.Fatal(err)
	}
}

// restore restores the machines for several runs at once; they are returned one run after the other.
func (s *snapshots) restore(t *testing.T, runs ...lab.RunID) []lab.Running {
	t.Helper()
	sets, errs := make([][]lab.Running, len(runs)), make([]error, len(runs))
	var all sync.WaitGroup
	for i, run := range runs {
		all.Go(func() { sets[i], errs[i] = s.driver.Restore(t.Context(), run, s.l, s.key) })
	}
	all.Wait()
	var out []lab.Running
	for _, set := range sets {
		for _, m := range set {
			t.Cleanup(func() { _ = m.Destroy(context.Background()) })
		}
		out = append(out, set...)
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		inOrder(t, s.l, set)
	}
	return out
}

// check: everything is as it was saved, and it is now.
func (s *snapshots) check(t *testing.T, m lab.Running) {
	t.Helper()
	at := s.of(m)
	if r := at.run(t, lab.Command{Argv: []string{"cat", s.file()}}); string(r.Stdout) != "before" {
		t.Errorf("the file holds %q: %s", r.Stdout, r.Stderr)
	}
	if r := at.run(t, lab.Command{Argv: []string{"cat", s.tmpfs()}}); strings.TrimSpace(string(r.Stdout)) != s.mark {
		t.Errorf("the file in memory holds %q: %s", r.Stdout, r.Stderr)
	}
	if n := s.counted(t, m, 0); n == 0 || s.counted(t, m, n) == 0 {
		t.Error("the process does not go on")
	}
	now := s.loggedIn(t, m)
	for account, was := range s.sessions {
		if is := now[account]; is != was {
			t.Errorf("account %s was logged in as\n%s\nand is as\n%s", account, was, is)
		}
	}
	at.clock(t)
}

// independent: what two runs started from the same snapshot have nothing to do with each other.
func (s *snapshots) independent(t *testing.T, both []lab.Running) {
	a, b := both[:len(both)/2], both[len(both)/2:]
	s.check(t, a[0])
	s.put(t, a[0], "changed")
	s.check(t, b[0])
	random := lab.Command{Argv: []string{"od", "-An", "-tx1", "-N16", "/dev/urandom"}}
	if x, y := s.of(a[0]).run(t, random).Stdout, s.of(b[0]).run(t, random).Stdout; len(x) < 32 || bytes.Equal(x, y) {
		t.Errorf("two clones read the random bytes %s and %s", x, y)
	}
	for _, run := range [][]lab.Running{a, b} {
		if len(run) > 1 {
			testNetwork(t, run)
		}
	}
	s.end(t, both)
}

// end is the last destroy. Where the machine is a fake the process is the host's, and so are its files.
func (s *snapshots) end(t *testing.T, machines []lab.Running) {
	t.Helper()
	s.of(machines[0]).run(t, shell(fmt.Sprintf("kill $(cat %[1]s.pid); rm -f %[1]s*; true", s.tmpfs())))
	s.destroy(t, machines)
}

func (s *snapshots) destroy(t *testing.T, machines []lab.Running) {
	t.Helper()
	for _, m := range machines {
		for range 2 {
			if err := m.Destroy(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
}
