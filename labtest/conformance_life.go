package labtest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// watcher is a writer that does something once when it has seen a text.
type watcher struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	want string
	then func()
}

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if w.then != nil && strings.Contains(w.buf.String(), w.want) {
		go w.then()
		w.then = nil
	}
	return len(p), nil
}

func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// cancelled: the command and what it started are gone when Run has returned: with pipes and with a terminal, in each
// account's session.
func (s *suite) cancelled(t *testing.T) {
	accounts := []string{""}
	for _, a := range s.accounts {
		accounts = append(accounts, a.Name)
	}
	for _, account := range accounts {
		for _, tty := range []*lab.TTY{nil, {Term: "vt100", Rows: 24, Cols: 80}} {
			s.cancel(t, account, tty)
		}
	}
}

func (s *suite) cancel(t *testing.T, account string, tty *lab.TTY) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	mark := fmt.Sprintf("86%d", 1e6+rand.IntN(1e6))
	cmd := shell("sleep " + mark + " & (sleep " + mark + " &); echo started; wait")
	cmd.Account, cmd.Stdout, cmd.TTY = account, &watcher{want: "started", then: cancel}, tty
	begin := time.Now()
	if r, err := s.m.Run(ctx, cmd); err == nil {
		t.Errorf("as %q: a cancelled command ended with %+v", account, r)
	}
	if took := time.Since(begin); took > patience {
		t.Errorf("as %q: it took %s to come back", account, took)
	}
	// The pattern does not match itself.
	find := shell("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c 'sleep [" + mark[:1] + "]" + mark[1:] + "'")
	if !soon(func() bool { return strings.TrimSpace(string(s.run(t, find).Stdout)) == "0" }) {
		t.Errorf("as %q, with a terminal %v: what a cancelled command had started is still there", account, tty != nil)
	}
}

// soon waits a little for a condition.
func soon(met func() bool) bool {
	for deadline := time.Now().Add(patience / 2); !met(); {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

func (s *suite) terminal(t *testing.T) {
	resize := make(chan [2]uint16)
	out := &watcher{want: "40 100", then: func() { resize <- [2]uint16{50, 120} }}
	cmd := shell(`test -t 1 && stty size; until [ "$(stty size)" = "50 120" ]; do :; done; stty size; echo $TERM`)
	cmd.TTY = &lab.TTY{Term: "vt100", Rows: 40, Cols: 100, Resize: resize}
	cmd.Stdout = out
	s.run(t, cmd)
	if got := strings.ReplaceAll(out.String(), "\r", ""); got != "40 100\n50 120\nvt100\n" {
		t.Errorf("the terminal showed %q", got)
	}
}

func (s *suite) files(t *testing.T) {
	data := make([]byte, 100_000)
	for i := range data {
		data[i] = byte(rand.IntN(256))
	}
	dir := fmt.Sprintf("/var/tmp/saigen-conformance-%d", rand.Int())
	for _, f := range []lab.File{
		{Path: dir + "/root/plain", Data: data, Mode: 0o644},
		{Path: dir + "/root/plain", Data: data[:10], Mode: 0o600}, // over the one before: shorter, and closed
		{Path: dir + "/root/empty", Mode: 0o444},
		{Path: dir + "/home/deep/script", Data: data, Mode: 0o755, Owner: s.account},
	} {
		if err := s.m.Put(t.Context(), f); err != nil {
			t.Fatalf("%s: %v", f.Path, err)
		}
		owner := f.Owner
		if owner == "" {
			owner = "root"
		}
		if r := s.run(t, lab.Command{Argv: []string{"cat", f.Path}}); !bytes.Equal(r.Stdout, f.Data) {
			t.Errorf("%s: %d bytes are not the %d that were put", f.Path, len(r.Stdout), len(f.Data))
		}
		folder := f.Path[:strings.LastIndex(f.Path, "/")]
		for path, mode := range map[string]fs.FileMode{f.Path: f.Mode, folder: 0o755} {
			want := fmt.Sprintf("%o %s\n", mode, owner)
			if r := s.run(t, lab.Command{Argv: []string{"stat", "-c", "%a %U", path}}); string(r.Stdout) != want {
				t.Errorf("%s: mode and owner are %q, not %q", path, r.Stdout, want)
			}
		}
	}
	if err := s.m.Put(t.Context(), lab.File{Path: "relative", Mode: 0o644}); err == nil {
		t.Error("a path that is not absolute was written")
	}
	if err := s.m.Put(t.Context(), lab.File{Path: dir + "/x", Owner: "nobody-declared"}); err == nil {
		t.Error("a file was put for an account that does not exist")
	}
}

// watch: observations come in order, with times, until the context ends; then none comes any more.
func (s *suite) watch(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var seen []lab.Observation
	var returned bool
	var mu sync.Mutex
	err := s.m.Watch(ctx, s.probe, func(o lab.Observation) {
		mu.Lock()
		defer mu.Unlock()
		if returned {
			t.Error("an observation came after the watch had returned")
		}
		if seen = append(seen, o); len(seen) == 5 {
			cancel()
		}
	})
	mu.Lock()
	defer mu.Unlock()
	returned = true
	if err != nil {
		t.Errorf("a watch that was ended returned %v", err)
	}
	if len(seen) < 5 {
		t.Fatalf("%d observations", len(seen))
	}
	for i, o := range seen {
		if o.Err != "" || o.At.IsZero() || len(o.Values) == 0 {
			t.Errorf("observation %d: %+v", i, o)
		}
		if i == 0 {
			continue
		}
		before := seen[i-1] // which may have been late, on a busy host: the next one is not for that
		if o.At.Before(before.At.Add(s.probe.Every/2 - before.Late)) {
			t.Errorf("observation %d began %s after the one before, which was %s late, not %s", i, o.At.Sub(before.At), before.Late, s.probe.Every)
		}
	}
}

func (s *suite) watchUnknown(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := s.probe
	p.Kind = "no_such_kind"
	err := s.m.Watch(ctx, p, func(o lab.Observation) { t.Errorf("observed %+v", o) })
	if err == nil || ctx.Err() != nil {
		t.Errorf("a watch of an unknown kind returned %v", err)
	}
}
