package vagrant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// quote makes text one word of a shell command.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// asRoot is a command line that runs a script as root, for accounts that are root or may become it without a password, as
// the one of every box may.
func asRoot(script string) string {
	return `if [ "$(id -u)" = 0 ]; then exec sh -c ` + quote(script) + `; else exec sudo -n sh -c ` + quote(script) + `; fi`
}

// sshCommand runs a command line in a machine, with the settings that `vagrant ssh-config` printed into a file.
func sshCommand(config, machine, line string) *exec.Cmd {
	return exec.Command("ssh", "-F", config, "-T", "-x", "-a",
		"-o", "BatchMode=yes", "-o", "ConnectTimeout=30", "-o", "LogLevel=ERROR",
		"-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ServerAliveInterval=30",
		"-o", "KexAlgorithms=^curve25519-sha256", // the default one takes long where the machine is emulated
		machine, line)
}

// stream is a program whose input and output are a connection.
type stream struct {
	io.Reader
	io.Writer
	in     io.Closer
	cmd    *exec.Cmd
	errOut *lastBytes
	ended  chan struct{}
	once   sync.Once
}

// start starts the program. It ends when the stream is closed, or when this process dies and its input with it.
func start(cmd *exec.Cmd) (*stream, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// Not StdoutPipe, which Wait would close under the reader.
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &stream{Reader: out, Writer: in, in: in, cmd: cmd, errOut: &lastBytes{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = w, s.errOut, time.Second
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return nil, errors.Join(err, out.Close(), in.Close())
	}
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // how it ended says nothing: it is killed, or its machine is
	}()
	return s, nil
}

// Close ends the program and waits for that.
func (s *stream) Close() error {
	s.once.Do(func() {
		_ = s.in.Close()
		select {
		case <-s.ended: // its machine's side ends first, and takes what it had opened along
		case <-time.After(closeTime):
			_ = s.cmd.Process.Kill()
			<-s.ended
		}
		_ = s.Reader.(io.Closer).Close()
	})
	return nil
}

// closeTime is how long ssh may take to say goodbye to its machine.
const closeTime = 300 * time.Millisecond

// lastBytes keeps the end of what is written to it.
type lastBytes struct {
	mu  sync.Mutex
	end []byte
}

func (l *lastBytes) Write(p []byte) (int, error) {
	const most = 4096
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = append(l.end, p...)
	if n := len(l.end); n > most {
		l.end = l.end[n-most:]
	}
	return len(p), nil
}

func (l *lastBytes) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.end))
}

// installAgent is the script that takes the agent's program from its input, SIZE bytes, starts it, and becomes the way to
// it: one login does all, because a login on an emulated machine takes seconds. A box that knows saigen has the agent's
// unit; in any other the agent is started in the same way.
const installAgent = `set -e
mkdir -p /usr/lib/saigen /var/lib/saigen/images /run/saigen-host
head -c %d > /usr/lib/saigen/saigen.new
chmod 755 /usr/lib/saigen/saigen.new
mv -f /usr/lib/saigen/saigen.new /usr/lib/saigen/saigen
if systemctl cat saigen-agent.service >/dev/null 2>&1; then
	systemctl restart saigen-agent.service
else
	systemd-run --quiet --collect --unit=saigen-agent -p Type=exec -p Restart=on-failure -p RestartSec=100ms \
		-p KillMode=process -p Delegate=yes -p TasksMax=infinity -p OOMScoreAdjust=-900 \
		/usr/lib/saigen/saigen guest agent --socket ` + agentSocket + `
fi
` + reachAgent

// reachAgent becomes the way to an agent that runs already, or is about to.
const reachAgent = `exec /usr/lib/saigen/saigen guest pipe --socket ` + agentSocket

// agentSocket is where the agent listens in a machine.
const agentSocket = "/run/saigen-host/agent.sock"

// dial reaches the agent in a machine that knows it already.
func dial(ctx context.Context, config, machine string) (agent, error) {
	return reach(ctx, sshCommand(config, machine, asRoot(reachAgent)), nil)
}

// install brings the agent into a machine, starts it there and reaches it.
func install(ctx context.Context, config, machine, self string) (agent, error) {
	f, err := os.Open(self)
	if err != nil {
		return nil, fmt.Errorf("cannot read the agent: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read the agent: %w", err)
	}
	return reach(ctx, sshCommand(config, machine, asRoot(fmt.Sprintf(installAgent, info.Size()))), f)
}

// reach starts ssh, sends what comes first, and greets the agent.
func reach(ctx context.Context, cmd *exec.Cmd, first io.Reader) (agent, error) {
	s, err := start(cmd)
	if err != nil {
		return nil, fmt.Errorf("cannot start ssh: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	if first != nil {
		_, err = io.Copy(s, first)
	}
	var c agent
	if err == nil {
		c, err = greet(ctx, s)
	}
	if !stop() && err == nil {
		err = errors.Join(context.Cause(ctx), c.Close())
	}
	if err == nil {
		return c, nil
	}
	_ = s.Close()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if said := s.errOut.String(); said != "" {
		err = fmt.Errorf("%w: ssh says %q", err, said)
	}
	return nil, err
}
