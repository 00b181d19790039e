package diff

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// What is collected explains, and gives no secret away.
func TestCollect(t *testing.T) {
	secrets := []string{"hunter2", "t0ken", "s3cret", "p4ss"}
	driver := &labtest.Driver{Handler: func(_ context.Context, cmd lab.Command) (lab.Result, error) {
		line := strings.Join(cmd.Argv, " ")
		out := ""
		switch {
		case cmd.Argv[0] == "getent" && cmd.Argv[2] == "alice":
			out = "alice:x:1000:1000::/home/alice:/bin/bash\n"
		case cmd.Argv[0] == "getent":
			return lab.Result{Code: 2}, nil
		case line == "env":
			out = "HOME=/home/alice\nANYTHING=hunter2\n"
		case line == "env -0":
			out = "HOME=/home/alice\x00API_TOKEN=hunter2\x00X=https://u:p4ss@h/\x00"
		case strings.Contains(line, "podman inspect"):
			out = `[{"Name":"app","Config":{"Env":["MODE=hunter2"],"CreateCommand":["podman","run","-e","A=s3cret","--env=B=s3cret","app"]},"Url":"http://x/?token=t0ken"}]`
		case strings.HasPrefix(line, "ps "):
			out = "alice 90 app --password=hunter2 serve\n"
		case line == "iptables-save":
			return lab.Result{Code: 127, Stderr: []byte("iptables-save: not found")}, nil
		case cmd.Argv[0] == "nft": // as a machine answers that has no such program
			return lab.Result{}, errors.New("cannot run nft: file does not exist in PATH")
		case line == "dmesg":
			out = strings.Repeat("x", mostOfAnswer) + "the end\n"
		}
		return lab.Result{Stdout: []byte(out)}, nil
	}}
	m := started(t, driver)
	spec := lab.Machine{Name: "m", Accounts: []lab.Account{{Name: "alice"}, {Name: "bob"}}}
	files := map[string]string{}
	err := Collect(t.Context(), m, spec, func(name string, data []byte) error {
		files[name] = string(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][]string{
		"processes":     {"$ ps -e", "90 app --password=(hidden) serve"},
		"network":       {"$ ip address", "(failed: cannot run nft: file does not exist in PATH)", "$ iptables-save\niptables-save: not found\n(failed: iptables-save: not found)"},
		"kernel":        {"earlier bytes left out)", "the end"},
		"units":         {"list-units --failed"},
		"account-alice": {"HOME=/home/alice\nANYTHING=(hidden)", `"MODE=(hidden)"`, `"A=(hidden)"`, `"--env=B=(hidden)"`, "token=(hidden)", "$ podman network ls", "aardvark-dns"},
	} {
		for _, w := range want {
			if !strings.Contains(files[file], w) {
				t.Errorf("%s has no %q:\n%s", file, w, tailOf(files[file]))
			}
		}
	}
	for name, text := range files {
		if len(text) > 2*mostOfAnswer {
			t.Errorf("%s has %d bytes", name, len(text))
		}
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s gives %q away", name, s)
			}
		}
	}
	if _, ok := files["account-bob"]; ok {
		t.Error("an account that is not there was asked")
	}
	seen := Seen(t.Context(), m, spec)["alice"]
	if seen["HOME"] != "/home/alice" || seen["API_TOKEN"] != Masked || seen["X"] != "https://u:(hidden)@h/" {
		t.Errorf("%v", seen)
	}
}

func tailOf(s string) string { return s[max(0, len(s)-2000):] }

// A machine that is lost meanwhile costs its answers, and nothing waits for it.
func TestCollectFromALostMachine(t *testing.T) {
	m := started(t, answers(nil))
	m.(*labtest.Machine).Lose()
	var names []string
	err := Collect(t.Context(), m, lab.Machine{Accounts: []lab.Account{{Name: "alice"}}}, func(name string, _ []byte) error {
		names = append(names, name)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "lost") || !slices.Contains(names, "processes") {
		t.Errorf("%v, %v", names, err)
	}
}
