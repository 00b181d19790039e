package guest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// agentProcess starts an agent in a process of its own, as the user of the test.
func agentProcess(t *testing.T, socket string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "guest", "agent", "--socket", socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// TestConnectCommand: an agent behind a program that a shell starts, as ssh would be, before the agent is there.
func TestConnectCommand(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "folder/agent.sock")
	agentProcess(t, socket)
	cmd := exec.Command("sh", "-c", `echo a warning >&2; echo and some noise; exec "$0" "$@"`, self, "guest", "pipe", "--socket", socket)
	c, err := guest.ConnectCommand(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r, err := c.Run(t.Context(), lab.Command{Argv: []string{"cat"}, Dir: "/", Stdin: strings.NewReader("hello")})
		if err != nil || string(r.Stdout) != "hello" {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	_ = c.Close()
	if err := cmd.Process.Signal(os.Kill); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("after the close the child was not waited for: %v", err)
	}
}

func TestConnectCommandFails(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		ctx        context.Context
		script     string
		want, tail string
	}{
		{t.Context(), "echo Permission denied >&2; exit 255", "exit status 255", "Permission denied"},
		{t.Context(), "echo Welcome", "does not speak saigen's protocol", ""},
		{over, "echo waiting >&2; exec sleep 1000", "context canceled", ""},
	} {
		cmd := exec.Command("sh", "-c", test.script)
		_, err := guest.ConnectCommand(test.ctx, cmd)
		var infra *lab.InfraError
		if !errors.As(err, &infra) || !strings.Contains(err.Error(), test.want) || !strings.Contains(infra.Tail, test.tail) {
			t.Errorf("%s: got %v, %+v", test.script, err, infra)
		}
		if err := cmd.Process.Signal(os.Kill); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("%s: the child was not waited for: %v", test.script, err)
		}
	}
	if _, err := guest.ConnectCommand(t.Context(), exec.Command("/no/such/program")); err == nil {
		t.Error("a program that does not exist was started")
	}
}

// TestPipeEnds: without a socket there is nothing to join.
func TestPipeEnds(t *testing.T) {
	if code := guest.Main([]string{"pipe"}, nil); code != 1 {
		t.Errorf("without a socket it ended with code %d", code)
	}
}
