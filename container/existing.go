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

// Undoers undo what was made in an existing engine, through its API, and then look whether it is gone.
func Undoers() []ledger.Option {
	type call = func(ctx context.Context, api *client.Client, name string) error
	undo := func(remove, look call) ledger.Undoer {
		return func(ctx context.Context, e ledger.Entry) error {
			api, err := client.New(client.WithHost(e.Host))
			if err != nil {
				return err
			}
			defer api.Close()
			if err := remove(ctx, api, e.Path); err != nil && !cerrdefs.IsNotFound(err) {
				return err
			}
			switch err := look(ctx, api, e.Path); {
			case err == nil:
				return errors.New("it is still there")
			case !cerrdefs.IsNotFound(err):
				return err
			}
			return nil
		}
	}
	return []ledger.Option{
		ledger.With(KindContainer, undo(func(ctx context.Context, api *client.Client, name string) error {
			_, err := api.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			return err
		}, func(ctx context.Context, api *client.Client, name string) error {
			_, err := api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
			return err
		})),
		ledger.With(KindNetwork, undo(func(ctx context.Context, api *client.Client, name string) error {
			_, err := api.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
			return err
		}, func(ctx context.Context, api *client.Client, name string) error {
			_, err := api.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
			return err
		})),
		ledger.With(KindImage, undo(func(ctx context.Context, api *client.Client, name string) error {
			_, err := api.ImageRemove(ctx, name, client.ImageRemoveOptions{Force: true})
			return err
		}, func(ctx context.Context, api *client.Client, name string) error {
			_, err := api.ImageInspect(ctx, name)
			return err
		})),
	}
}

// Trace is something in an existing engine that a run of saigen has made.
type Trace struct {
	What, Name string
	Run        string
}

// Traces lists what an existing engine has of saigen's, whichever run made it.
func Traces(ctx context.Context, host string) ([]Trace, error) {
	api, err := client.New(client.WithHost(host))
	if err != nil {
		return nil, fmt.Errorf("cannot look at the engine %s: %w", host, err)
	}
	defer api.Close()
	var all []Trace
	of := make(client.Filters).Add("label", labelRun)
	containers, err := api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: of})
	if err != nil {
		return nil, fmt.Errorf("cannot look at the engine %s: %w", host, err)
	}
	for _, c := range containers.Items {
		all = append(all, Trace{"container", c.ID, c.Labels[labelRun]})
	}
	networks, err := api.NetworkList(ctx, client.NetworkListOptions{Filters: of})
	if err != nil {
		return nil, fmt.Errorf("cannot look at the engine %s: %w", host, err)
	}
	for _, n := range networks.Items {
		all = append(all, Trace{"network", n.Name, n.Labels[labelRun]})
	}
	images, err := api.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot look at the engine %s: %w", host, err)
	}
	for _, i := range images.Items {
		for _, tag := range i.RepoTags {
			if rest, ok := strings.CutPrefix(tag, imagePrefix); ok {
				run, _, _ := strings.Cut(rest, ":")
				all = append(all, Trace{"image", tag, run})
			}
		}
	}
	return all, nil
}

// imagePrefix is what the names of all images begin with that were loaded into an existing engine; a run's id follows.
const imagePrefix = "localhost/saigen-"

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
	ref = imagePrefix + strings.ToLower(string(r.ID)) + ":" + b.Short()
	if _, err := e.api.ImageInspect(ctx, ref); err == nil {
		return ref, nil
	}
	if err := r.Ledger.Record(ledger.Entry{Kind: KindImage, Path: ref, Host: e.host}); err != nil {
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
