package guest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/saigen-lab/saigen/lab"
)

// Main is the machine's side of saigen: args are what follows `saigen guest` on the command line. kinds are the
// assertions that the agent can observe. It returns the exit code.
//
//	agent --socket PATH   listens for the host, there and at the ports of a VM; run by saigen-agent.service
//	pipe --socket PATH    joins its stdin and stdout to the agent; run by the host through ssh
//	hold --socket PATH    runs commands in the session in which it was started; run by the agent
//	userns                waits for the end of its stdin; run by the agent for the sake of its namespace
func Main(args []string, kinds []lab.Kind[lab.Observer]) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("saigen guest "+verb, flag.ContinueOnError)
	socket := flags.String("socket", "", "the agent's, or the holder's, unix socket")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var err error
	switch verb {
	case "agent":
		makeThreads(threads)
		err = serveAgent(ctx, *socket, newAgent(kinds, log))
	case "hold":
		makeThreads(threads)
		err = serveHolder(ctx, *socket)
	case "pipe":
		err = joinAgent(ctx, *socket, os.Stdin, os.Stdout)
	case "userns":
		_, err = io.Copy(io.Discard, os.Stdin)
	default:
		err = fmt.Errorf("saigen guest takes agent, pipe, hold or userns, not %q", verb)
	}
	if err != nil {
		log.Error("saigen guest "+verb+" ends", "error", err)
		return 1
	}
	return 0
}

// serveAgent accepts connections, and serves the ports of a VM, until ctx ends. Each is independent: a shell may be open
// beside a run.
func serveAgent(ctx context.Context, socket string, a *agent) error {
	l, err := listen(socket)
	if err != nil {
		return err
	}
	a.log.Info("agent listens", "socket", socket, "build", Build())
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan struct{})
	go func() {
		defer close(served)
		newPorts(a).serve(ctx)
	}()
	defer func() { cancel(); <-served }()
	return accept(ctx, l, func(conn net.Conn) {
		if err := a.serve(ctx, conn); err != nil {
			a.log.Warn("connection ended", "error", err)
		}
	})
}

// listen makes a socket that only its owner and root can use, in the place of one that an earlier process left.
func listen(socket string) (net.Listener, error) {
	if socket == "" {
		return nil, errors.New("--socket is needed")
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot remove old socket: %w", err)
	}
	// A driver brings the folder in, unless it has another way to the agent.
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", socket, err)
	}
	dir, err := os.Open(filepath.Dir(socket))
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", socket, err)
	}
	defer dir.Close()
	old := syscall.Umask(0o177) // before anything else of this process makes files
	defer syscall.Umask(old)
	l, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(socket)))
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", socket, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // its name in /proc is gone by then
	return l, nil
}

// accept serves connections side by side until ctx ends.
func accept(ctx context.Context, l net.Listener, serve func(net.Conn)) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot accept: %w", err)
		}
		go serve(conn)
	}
}
