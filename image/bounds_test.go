package image

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A build that takes too long, or that fills the disk, is ended, with what it started.
func TestBounded(t *testing.T) {
	for script, want := range map[string]string{
		"sleep 600": "it took more than",
		"dd if=/dev/zero of=fill bs=1M count=8 2>&1 && sleep 600": "it takes more than 4 MiB",
		"echo fine":                 "",
		"echo E: it failed; exit 1": "it failed",
	} {
		dir := t.TempDir()
		most := time.Minute
		if script == "sleep 600" {
			most = 100 * time.Millisecond
		}
		began := time.Now()
		err := boundedBy(t.Context(), dir, most, 4<<20, 20*time.Millisecond, func(ctx context.Context) error {
			_, err := command{argv: []string{"sh", "-c", script}, dir: dir, env: plainEnv(), private: true, log: io.Discard}.run(ctx)
			return err
		})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: it took %s", script, took)
		}
	}
}

// What a compiler prints without end is bounded in memory and in its log.
func TestEndlessOutput(t *testing.T) {
	var log counted
	last, err := command{argv: []string{"sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' x; yes $(head -c 8000 /dev/zero | tr '\\0' y) | head -c 100000000; echo; echo E: end >&2; exit 1"}, dir: filepath.Join(t.TempDir()), env: plainEnv(), log: &log}.run(t.Context())
	if err == nil || err.Error() != "end" || log > mostLog+1000 {
		t.Errorf("%v, a log of %d bytes", err, log)
	}
	for _, line := range last {
		if len(line) > mostLine {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

type counted int64

func (c *counted) Write(p []byte) (int, error) { *c += counted(len(p)); return len(p), nil }
