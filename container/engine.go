package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// engine is where containers are made: an API, and for saigen's own engine the process behind it.
type engine struct {
	api    *client.Client
	limits limits
	host   string // the API's address
	docker bool   // it is Docker, not podman

	net *network // nil until a lab needs one; guarded by run.start

	// The rest is empty for an engine that is not saigen's own.
	log   string        // the file with what podman printed
	ended chan struct{} // closed when the engine's first process has ended
}

// maxSocketPath is sun_path without its final zero.
const maxSocketPath = 107

// startEngine starts an engine of saigen's own. Its folders are in the ledger already, its cgroup is recorded here.
// self is the command that calls EngineMain.
func startEngine(ctx context.Context, self []string, c engineConfig, l *ledger.Ledger) (_ *engine, err error) {
	h, err := ledger.OpenHierarchy()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	name := c.Cgroup
	if err := l.Record(ledger.Entry{Kind: ledger.KindCgroup, Path: name}); err != nil {
		return nil, err
	}
	group, err := h.Make(name)
	if err != nil {
		return nil, err
	}
	defer group.Close()
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Remove(context.WithoutCancel(ctx), name))
		}
	}()
	controllers, err := h.Controllers(name)
	if err != nil {
		return nil, err
	}
	if c.Limits, err = readLimits(controllers); err != nil {
		return nil, err
	}

	if len(c.Socket) > maxSocketPath {
		return nil, fmt.Errorf("the path of the engine's socket is longer than %d bytes: %s", maxSocketPath, c.Socket)
	}
	e := &engine{limits: c.Limits, host: "unix://" + c.Socket, log: filepath.Join(c.Dir, "engine.log"), ended: make(chan struct{})}
	if err := e.spawn(self, c, group); err != nil {
		return nil, err
	}
	if e.api, err = client.New(client.WithHost(e.host)); err != nil {
		return nil, fmt.Errorf("cannot make a client of the engine: %w", err)
	}
	if err := e.ping(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// spawn starts the engine's first process with a listening socket, which is there before podman is.
func (e *engine) spawn(self []string, c engineConfig, group *os.File) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the engine's folder: %w", err)
	}
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("cannot write the engine's configuration: %w", err)
	}
	config := filepath.Join(c.Dir, "engine.json")
	if err := os.WriteFile(config, data, 0o600); err != nil {
		return fmt.Errorf("cannot write the engine's configuration: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.Socket, Net: "unix"})
	if err != nil {
		return fmt.Errorf("cannot listen for the engine: %w", err)
	}
	listener.SetUnlinkOnClose(false)
	defer listener.Close()
	listening, err := listener.File()
	if err != nil {
		return fmt.Errorf("cannot listen for the engine: %w", err)
	}
	defer listening.Close()
	out, err := os.OpenFile(e.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot make the engine's log: %w", err)
	}
	defer out.Close()

	cmd := exec.Command(self[0], append(self[1:], config)...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{listening}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, // ^C at the terminal is saigen's alone
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC |
			unix.CLONE_NEWUTS, // the cgroup namespace follows inside, where the cgroup is already the run's
		UseCgroupFD: true,
		CgroupFD:    int(group.Fd()),
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the engine: %w", err)
	}
	go func() {
		_ = cmd.Wait() // killed in the end, always; what it said is in its log
		close(e.ended)
	}()
	return nil
}

// ping waits until the engine answers, or has ended.
func (e *engine) ping(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-e.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	if _, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		what := "cannot start the container engine"
		if e.gone(diedTime / 2) { // it has said why by then
			what += ": it has ended"
		}
		return &lab.InfraError{
			What: what,
			Hint: "saigen doctor says what the host lacks",
			Tail: tailOf(e.log),
			Err:  err,
		}
	}
	return nil
}

// tailOf returns the last lines of a file; nothing when there is no such file.
func tailOf(name string) string {
	const most = 4000
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil && end > most {
		_, _ = f.Seek(end-most, io.SeekStart)
	} else {
		_, _ = f.Seek(0, io.SeekStart)
	}
	data, _ := io.ReadAll(f)
	return string(data)
}
