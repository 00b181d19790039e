package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
)

// serveRun runs one command as the user of this process and speaks with the stream until the command has ended. The
// end of the stream, or a kill frame, kills the command. env and home are those of the session.
func serveRun(r *frameReader, w *frameWriter, q runRequest, env []string, home string) {
	answer, err := runLocal(r, w, q, env, home)
	if err != nil {
		_ = w.writeJSON(frameError, failureOf(err))
		return
	}
	_ = w.writeJSON(frameDone, answer)
}

func runLocal(r *frameReader, w *frameWriter, q runRequest, env []string, home string) (runAnswer, error) {
	cannot := func(err error) error {
		return &lab.InfraError{What: fmt.Sprintf("cannot run %q", q.Argv), Err: err}
	}
	if len(q.Argv) == 0 {
		return runAnswer{}, cannot(errors.New("the command is empty"))
	}
	env = append(append([]string(nil), env...), q.Env...)
	dir := q.Dir
	if dir == "" {
		dir = home
	}
	path, err := lookPath(q.Argv[0], dir, env)
	if err != nil {
		return runAnswer{}, cannot(err)
	}
	cmd := &exec.Cmd{Path: path, Args: q.Argv, Dir: dir, Env: env}
	io, err := wire(cmd, q)
	if err != nil {
		return runAnswer{}, cannot(err)
	}
	began := time.Now()
	cmd, err = start(cmd)
	io.closeChildEnds()
	if err != nil {
		io.close()
		return runAnswer{}, cannot(err)
	}

	// A kill means the command. Once that has ended, what it left running is the account's own business: a detached
	// container's slirp4netns and rootlessport are in the session of the podman that started them.
	var end struct {
		sync.Mutex
		ended, killed bool
	}
	kill := func() {
		end.Lock()
		defer end.Unlock()
		if !end.ended && !end.killed {
			end.killed = true
			killTree(cmd.Process.Pid)
		}
	}
	stdin := newStdin(io.stdin, w)
	go func() { // ends with the stream: at the latest when the host has read our answer and closes it
		defer kill()
		defer stdin.close()
		readControl(r, stdin, kill, io.resize)
	}()
	var outputs sync.WaitGroup
	for _, o := range io.outputs {
		outputs.Go(func() {
			if o.copyTo(w) != nil {
				kill() // nobody reads any more
			}
		})
	}
	err = cmd.Wait()
	took := time.Since(began)
	end.Lock()
	end.ended = true
	killed := end.killed
	end.Unlock()
	if killed {
		killTree(cmd.Process.Pid) // what the command had started after the first pass
	}
	for _, o := range io.outputs {
		o.drain()
	}
	outputs.Wait()
	stdin.close()

	answer := runAnswer{Took: took}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return answer, cannot(err)
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	answer.Code = status.ExitStatus()
	if status.Signaled() {
		answer.Code = 128 + int(status.Signal())
		answer.Signal = unix.SignalName(status.Signal())
	}
	return answer, nil
}

// readControl handles what the host sends while a command runs, until the stream ends.
func readControl(r *frameReader, in *stdin, kill func(), resize func(rows, cols uint16)) {
	for {
		kind, payload, err := r.next()
		if err != nil {
			return
		}
		switch kind {
		case frameData:
			if !in.add(payload) {
				return // more than it was given credit for
			}
		case frameDataEnd:
			in.end()
		case frameKill:
			kill()
		case frameResize:
			var size [2]uint16
			if json.Unmarshal(payload, &size) == nil {
				resize(size[0], size[1])
			}
		}
	}
}

// lookPath finds a program as execvp would with that environment.
func lookPath(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name, nil
	}
	path := "/usr/bin:/bin"
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v
		}
	}
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			continue
		}
		p := filepath.Join(d, name)
		if fi, err := os.Stat(p); err == nil && !fi.IsDir() && fi.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s: %w in PATH=%s", name, fs.ErrNotExist, path)
}

// stdin hands data to a command without ever blocking the reader of the stream, so that a kill is always heard: the
// host sends only what it has credit for, and credit comes back as the command reads.
type stdin struct {
	mu     sync.Mutex
	wake   *sync.Cond
	queue  []byte
	ended  bool
	closed bool
	pipe   io.WriteCloser // nil: the command has none
}

// stdinCredit is how much of stdin may be on its way.
const stdinCredit = 256 << 10

func newStdin(pipe io.WriteCloser, w *frameWriter) *stdin {
	s := &stdin{pipe: pipe}
	s.wake = sync.NewCond(&s.mu)
	if pipe != nil {
		go s.pump(w)
	}
	return s
}

func (s *stdin) pump(w *frameWriter) {
	defer s.pipe.Close()
	for {
		s.mu.Lock()
		for len(s.queue) == 0 && !s.ended && !s.closed {
			s.wake.Wait()
		}
		if s.closed || len(s.queue) == 0 {
			s.mu.Unlock()
			return
		}
		data := s.queue
		s.queue = nil
		s.mu.Unlock()
		for len(data) > 0 {
			part := data[:min(len(data), chunk)]
			if _, err := s.pipe.Write(part); err != nil {
				s.close() // the command reads no more: what comes is dropped, and no credit is given
				return
			}
			data = data[len(part):]
			if w.writeJSON(frameCredit, len(part)) != nil {
				return
			}
		}
	}
}

// add queues data; false when the peer sent more than it had credit for.
func (s *stdin) add(p []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.pipe == nil || s.ended {
		return true
	}
	if len(s.queue)+len(p) > 2*stdinCredit {
		return false
	}
	s.queue = append(s.queue, p...)
	s.wake.Signal()
	return true
}

func (s *stdin) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.wake.Signal()
}

// close drops what is queued and frees a pump that is blocked on the command.
func (s *stdin) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.wake.Signal()
	if f, ok := s.pipe.(*os.File); ok {
		_ = f.SetWriteDeadline(time.Unix(1, 0))
	}
}
