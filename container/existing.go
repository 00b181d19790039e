package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/ledger"
)

// The kinds of ledger entry that an existing engine needs: there is no cgroup that takes all away. Path is the name.
const (
	KindContainer = "container"
	KindNetwork   = "network"
	KindImage     = "image"
)

// Undoers undo what was made in an existing engine, through its API.
func Undoers() []ledger.Option {
	undo := func(remove func(ctx context.Context, api *client.Client, name string) error) ledger.Undoer {
		return func(ctx context.Context, e ledger.Entry) error {
			api, err := client.New(client.WithHost(e.Host))
			if err != nil {
				return err
			}
			defer api.Close()
			if err := remove(ctx, api, e.Path); err != nil && !cerrdefs.IsNotFound(err) {
				return err
			}
			return nil
		}
	}
	return []ledger.Option{
		ledger.With(KindContainer, undo(func(ctx context.Context, api *client.Client, name string) error {
			_, err := api.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			return err
		})),
		ledger.With(KindNetwork, undo(func(ctx context.Context, api *client.Client, name string) error {
			_, err := api.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
			return err
		})),
		ledger.With(KindImage, undo(func(ctx context.Context, api *client.Client, name string) error {
			_, err := api.ImageRemove(ctx, name, client.ImageRemoveOptions{Force: true})
			return err
		})),
	}
}

// openEngine connects to an engine that the user runs.
func openEngine(ctx context.Context, host string) (*engine, error) {
	api, err := client.New(client.WithHost(host))
	if err != nil {
		return nil, fmt.Errorf("cannot use the engine %s: %w", host, err)
	}
	e := &engine{api: api, host: host, docker: true}
	if err := e.ask(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use the engine %s: %w", host, err), api.Close())
	}
	return e, nil
}

// ask learns what the engine is and what it can limit.
func (e *engine) ask(ctx context.Context) error {
	if _, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return err
	}
	version, err := e.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return err
	}
	for _, c := range version.Components {
		if strings.Contains(c.Name, "Podman") {
			e.docker = false
		}
	}
	info, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return err
	}
	for controller, has := range map[string]bool{"cpu": info.Info.CPUCfsQuota, "memory": info.Info.MemoryLimit, "pids": info.Info.PidsLimit} {
		if has {
			e.limits.Controllers = append(e.limits.Controllers, controller)
		}
	}
	return nil
}

// load brings a machine image into an existing engine, under a name of this run.
func (e *engine) load(ctx context.Context, r *run, b image.Built) (ref string, err error) {
	ref = "localhost/saigen-" + strings.ToLower(string(r.id)) + ":" + b.Short()
	if _, err := e.api.ImageInspect(ctx, ref); err == nil {
		return ref, nil
	}
	if err := r.ledger.Record(ledger.Entry{Kind: KindImage, Path: ref, Host: e.host}); err != nil {
		return "", err
	}
	tar, err := os.Open(b.Tar)
	if err != nil {
		return "", fmt.Errorf("cannot load the image: %w", err)
	}
	defer tar.Close()
	answer, err := e.api.ImageImport(ctx, client.ImageImportSource{Source: tar, SourceName: "-"}, ref, client.ImageImportOptions{
		Changes: []string{`CMD ["/sbin/init"]`, "STOPSIGNAL SIGRTMIN+3"},
	})
	if err != nil {
		return "", fmt.Errorf("cannot load the image: %w", err)
	}
	defer answer.Close()
	if _, err := io.Copy(io.Discard, answer); err != nil {
		return "", fmt.Errorf("cannot load the image: %w", err)
	}
	return ref, nil
}
