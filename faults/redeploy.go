package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Redeploy deploys a stack again, as its account: podman-compose down, podman-compose up -d. Where podman asks for podman system migrate, the
// account does that first. By itself this breaks nothing: it is the occasion at which what was broken before shows. How podman-compose
// ends is not looked at, for that is what a lab wants to find out; what it printed is in deploy.log in the stack's folder.
//
// In force: every service has a container, and it is another one than before. There is nothing to heal.
type Redeploy struct {
	// The stack that is deployed again.
	Stack lab.StackRef `hcl:"stack" json:"stack"`
	// Whether everything that podman has stored for the account is removed before, as of an account that is new: its containers, images and
	// networks, and its notes of where their running state is. Default: false.
	FromNothing bool `hcl:"from_nothing,optional" json:"from_nothing"`
}

// Check implements lab.Checker.
func (f *Redeploy) Check() []lab.Problem { return nil }

// DeployLog is the file in a stack's folder that holds what podman-compose printed at the last deployment.
const DeployLog = "deploy.log"

// deployEvidence is what Inject leaves in the machine.
type deployEvidence struct {
	Before []string `json:"before"` // ids of the containers that there were
	Code   int      `json:"code"`   // of podman-compose up -d
}

func (f *Redeploy) evidence() string { return "redeploy-" + f.Stack.Name() }

// Inject implements lab.Breaker.
func (f *Redeploy) Inject(ctx context.Context, env lab.Env) error {
	stack, m, err := place(env, f.Stack)
	if err != nil {
		return err
	}
	before, err := storedContainers(ctx, m, stack.Account)
	if err != nil {
		return err
	}
	var e deployEvidence
	for _, c := range before {
		e.Before = append(e.Before, c.ID)
	}
	if f.FromNothing {
		env.Say("everything that podman has stored for %s is removed", stack.Account)
		if _, err := do(ctx, m, "", "sh", "-c", forgetEverything, "sh", stack.Account); err != nil {
			return err
		}
	} else {
		if err := migrate(ctx, env, m, stack); err != nil {
			return err
		}
		// Its exit code is that of the last podman command, which may be about a container that is gone already.
		if _, err := env.Compose(ctx, f.Stack, "down", "-t", "1"); err != nil {
			return err
		}
	}
	r, err := env.Compose(ctx, f.Stack, "up", "-d")
	if err != nil {
		return err
	}
	e.Code = r.Code
	first := firstLine(r.Stderr, "Error: ")
	if first == "" {
		first = firstLine(r.Stderr, "Failed to ")
	}
	env.Say("%s deploys %s again: podman-compose up -d ends with code %d %s", stack.Account, stack.Name, r.Code, first)
	said := lab.File{Path: stack.Folder() + "/" + DeployLog, Data: append(r.Stdout, r.Stderr...), Mode: 0o644, Owner: stack.Account}
	if err := m.Put(ctx, said); err != nil {
		return err
	}
	return keep(ctx, m, f.evidence(), e)
}

// forgetEverything removes what podman has stored for account $1. A podman that runs meanwhile, as of a probe, may write into the folder once more
// after it has another name.
const forgetEverything = `set -e
share="$(getent passwd -- "$1" | cut -d: -f6)/.local/share"
[ -e "$share/containers" ] || exit 0
old=$(mktemp -d "$share/removed.XXXXXX")
mv "$share/containers" "$old"
for try in 1 2 3 4 5 6 7 8 9; do
	if rm -rf "$old" 2>/dev/null; then exit 0; fi
	sleep 0.2
done
rm -rf "$old"
`

// Verify implements lab.Breaker.
func (f *Redeploy) Verify(ctx context.Context, env lab.Env) error {
	stack, m, err := place(env, f.Stack)
	if err != nil {
		return err
	}
	var e deployEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		return err
	}
	now, err := storedContainers(ctx, m, stack.Account)
	if err != nil {
		return err
	}
	for _, s := range stack.Services {
		is := func(c storedContainer) bool {
			return slices.Contains(c.Names, s.Container) && !slices.Contains(e.Before, c.ID)
		}
		if !slices.ContainsFunc(now, is) {
			return fmt.Errorf("cannot confirm redeploy: service %s has no new container; podman-compose up -d ended with code %d", s.Name, e.Code)
		}
	}
	return nil
}

// Heal implements lab.Breaker.
func (f *Redeploy) Heal(context.Context, lab.Env) error { return nil }

// storedContainer is a container in podman's storage.
type storedContainer struct {
	ID    string   `json:"id"`
	Names []string `json:"names"`
}

// storedContainers reads an account's containers from podman's files: in a session that is broken podman may not say.
func storedContainers(ctx context.Context, m lab.Running, account string) ([]storedContainer, error) {
	r, err := do(ctx, m, "", "sh", "-c",
		`for f in "$(getent passwd -- "$1" | cut -d: -f6)"/.local/share/containers/storage/*-containers/containers.json; do if [ -s "$f" ]; then cat "$f"; fi; done`, "sh", account)
	if err != nil {
		return nil, err
	}
	var out []storedContainer
	for d := json.NewDecoder(strings.NewReader(string(r.Stdout))); d.More(); {
		var some []storedContainer
		if err := d.Decode(&some); err != nil {
			return nil, fmt.Errorf("cannot read the containers of %s: %w", account, err)
		}
		out = append(out, some...)
	}
	return out, nil
}
