package guest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// serveHolder runs commands for the agent in the session that this process was started in, one per connection. The
// commands are its children, so their cgroup, environment and session are the real ones.
//
// It does nothing else: it opens no bus and no session, asks systemd for nothing, and writes no file but its socket. It
// lives in its session's cgroup as a shell would, so it ends when its session does, and holds up no stop for longer
// than a SIGTERM takes.
func serveHolder(ctx context.Context, socket string) error {
	env := sessionEnv(os.Environ())
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	// Made under another name, so that whoever finds the socket can use it.
	l, err := listen(socket + ".new")
	if err != nil {
		return err
	}
	if err := os.Rename(socket+".new", socket); err != nil {
		return fmt.Errorf("cannot name socket: %w", err)
	}
	if err := os.Chdir("/"); err != nil { // hold no file system
		return err
	}
	return accept(ctx, l, func(conn net.Conn) {
		defer conn.Close()
		r, w := newFrameReader(conn), newFrameWriter(conn)
		q, err := r.request()
		if err == nil && q.Run == nil {
			err = errors.New("a holder only runs commands")
		}
		if err != nil {
			_ = w.writeJSON(frameError, failureOf(err))
			return
		}
		serveRun(r, w, *q.Run, env, home)
	})
}

// sessionEnv takes out what systemd tells the holder as the main process of its own unit, which is not the session's.
func sessionEnv(env []string) []string {
	var out []string
	for _, e := range env {
		switch name, _, _ := strings.Cut(e, "="); name {
		case "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "NOTIFY_SOCKET", "MEMORY_PRESSURE_WATCH",
			"MEMORY_PRESSURE_WRITE", "_", "SHLVL", "OLDPWD":
		default:
			out = append(out, e)
		}
	}
	return out
}

// holdersFolder has a folder for each account, which only that account and root can enter.
const holdersFolder = "/run/saigen/hold"

func holderSocket(account string) string { return filepath.Join(holdersFolder, account, "sock") }
