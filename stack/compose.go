package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Compose runs stacks with podman-compose.
type Compose struct {
	running lab.Kind[lab.Observer]
}

// New returns a Compose that uses the assertion kind "container" among kinds for the readiness of services.
func New(kinds []lab.Kind[lab.Observer]) (*Compose, error) {
	i := slices.IndexFunc(kinds, func(k lab.Kind[lab.Observer]) bool { return k.Name == "container" })
	if i < 0 {
		return nil, fmt.Errorf("there is no assertion kind %q", "container")
	}
	return &Compose{running: kinds[i]}, nil
}

// Up writes the stack's files into its folder on the machine and starts it as its account. podman-compose (1.0.3 and 1.3.0) ends
// with code 0 even when no container came up, so what podman printed is looked through for errors, and the readiness probes
// are what says that the stack is there.
func (c *Compose) Up(ctx context.Context, m lab.Running, dir string, s lab.Stack) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	base := path.Dir(string(s.Compose))
	put := func(from lab.Path, to string) error {
		data, err := root.ReadFile(string(from))
		if err != nil {
			return err
		}
		info, err := root.Stat(string(from))
		if err != nil {
			return err
		}
		return m.Put(ctx, lab.File{Path: path.Join(s.Folder(), to), Data: data, Mode: info.Mode().Perm(), Owner: s.Account})
	}
	if err := put(s.Compose, "compose.yaml"); err != nil {
		return err
	}
	for _, f := range s.Files {
		rel := strings.TrimPrefix(string(f), base+"/")
		if base == "." {
			rel = string(f)
		}
		if err := put(f, rel); err != nil {
			return err
		}
	}
	if err := m.Put(ctx, lab.File{Path: path.Join(s.Folder(), ".env"), Data: dotenv(s.Env), Mode: 0o644, Owner: s.Account}); err != nil {
		return err
	}
	// podman-compose 1.3.0 waits for ever for a service whose dependency did not start.
	within, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	var said bytes.Buffer
	cmd := command(s, "up", "-d")
	cmd.Stdout, cmd.Stderr = &said, &said
	res, err := m.Run(within, cmd)
	late := within.Err() != nil && ctx.Err() == nil
	switch {
	case err != nil && !late:
		return err
	case !late && res.Code == 0 && len(errorLines(said.String())) == 0:
		return nil
	}
	// An error that podman printed need not be one of the stack: what counts is whether its containers were started.
	if trouble, final := troubleOf(ctx, m, s, said.String()); final {
		return trouble
	}
	failed := &lab.InfraError{What: fmt.Sprintf("cannot start stack.%s: podman-compose up -d as %s", s.Name, s.Account), Tail: said.String()}
	switch {
	case late:
		failed.What += fmt.Sprintf(" did not end within %s", upTimeout)
		failed.Hint = "what it printed says which container did not start"
	case res.Code != 0:
		failed.What += fmt.Sprintf(" ended with code %d", res.Code)
	default:
		return nil
	}
	if word := lastWord(said.String()); word != "" {
		failed.What += fmt.Sprintf(": %q", word)
	}
	return failed
}

// upTimeout bounds podman-compose up -d; images are there, so nothing in it takes long.
const upTimeout = 2 * time.Minute

func command(s lab.Stack, args ...string) lab.Command {
	return lab.Command{Argv: append([]string{"podman-compose"}, args...), Account: s.Account, Dir: s.Folder()}
}

// Compose runs podman-compose in the stack's folder, in its account's session.
func (c *Compose) Compose(ctx context.Context, m lab.Running, s lab.Stack, args ...string) (lab.Result, error) {
	return m.Run(ctx, command(s, args...))
}

// Ready lists what every stack needs without declaring it: each of its containers runs.
func (c *Compose) Ready(s lab.Stack) []lab.Assertion {
	var out []lab.Assertion
	for _, v := range s.Services {
		settings, err := json.Marshal(map[string]string{"stack": "stack." + s.Name, "service": v.Name, "state": "running"})
		if err != nil {
			panic(err) // strings always marshal
		}
		do := c.running.New()
		if err := json.Unmarshal(settings, do); err != nil {
			panic(err) // the kind's settings are saigen's own
		}
		out = append(out, lab.Assertion{
			Role: "ready", Kind: c.running.Name, Name: s.Name + "_" + v.Name, Machine: s.Machine,
			Every: "100ms", Within: "60s", Settings: settings, Do: do,
			Hint: fmt.Sprintf("the container %s of account %s does not run: see what it printed with podman logs %s, and what podman-compose said with podman-compose up", v.Container, s.Account, v.Container),
		})
	}
	return out
}

// dotenv is the project's .env file, from which podman-compose takes its variables.
func dotenv(env map[string]string) []byte {
	var b strings.Builder
	keys := make([]string, 0, len(env))
	for k := range env {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, "%s=%s\n", k, env[k])
	}
	return []byte(b.String())
}
