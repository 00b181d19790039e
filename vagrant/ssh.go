package vagrant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/guest"
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

// installAgent is the script that takes the agent's program from its input and starts it. A box that knows saigen has the
// agent's unit; in any other the agent is started in the same way.
const installAgent = `set -e
mkdir -p /usr/lib/saigen /var/lib/saigen/images /run/saigen-host
cat > /usr/lib/saigen/saigen.new
chmod 755 /usr/lib/saigen/saigen.new
mv -f /usr/lib/saigen/saigen.new /usr/lib/saigen/saigen
if systemctl cat saigen-agent.service >/dev/null 2>&1; then
	systemctl restart saigen-agent.service
else
	systemd-run --quiet --collect --unit=saigen-agent -p Type=exec -p Restart=on-failure -p RestartSec=100ms \
		-p KillMode=process -p Delegate=yes -p TasksMax=infinity -p OOMScoreAdjust=-900 \
		/usr/lib/saigen/saigen guest agent --socket ` + agentSocket + `
fi`

// reachAgent becomes the way to an agent that runs, or is about to.
const reachAgent = `exec /usr/lib/saigen/saigen guest pipe --socket ` + agentSocket

// agentSocket is where the agent listens in a machine.
const agentSocket = "/run/saigen-host/agent.sock"

// dialTime is how long ssh may go on failing. sshd may not be up yet, and a machine that comes back from a snapshot may
// still be ending a login of the time before, with which the first new one ends too.
const dialTime = 20 * time.Second

// dial reaches the agent in a machine that has it, for which ssh is given some time.
func dial(ctx context.Context, config, machine string, patience time.Duration) (agent, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; {
		c, err := guest.ConnectCommand(ctx, sshCommand(config, machine, asRoot(reachAgent)))
		switch {
		case err == nil:
			return c, nil
		case ctx.Err() != nil:
			return nil, errors.Join(context.Cause(ctx), err)
		case time.Since(began) > patience:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// install brings the agent into a machine and starts it there.
func install(ctx context.Context, config, machine, self string) error {
	f, err := os.Open(self)
	if err != nil {
		return fmt.Errorf("cannot read the agent: %w", err)
	}
	defer f.Close()
	cmd := sshCommand(config, machine, asRoot(installAgent))
	_, err = tool{argv: cmd.Args, env: plainEnv(), stdin: f}.run(ctx)
	return err
}
