package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	mobycontainer "github.com/moby/moby/api/types/container"
	mobynetwork "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/saigen-lab/saigen/driver"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// What everything that an engine makes for saigen carries.
const (
	labelRun     = "saigen.run"
	labelMachine = "saigen.machine"
)

// Inside a machine. The image's saigen-agent.service and package guest use the same names.
const (
	agentBinary   = "/usr/lib/saigen/saigen"
	agentFolder   = "/run/saigen-host"
	agentSocket   = "agent.sock"
	serviceImages = "/var/lib/saigen/images"
	podmanDropIn  = "/etc/containers/containers.conf.d/50-saigen.conf"
)

// bootTime is how long a machine may take to come up, and destroyTime how long to go. A minute is far beyond the
// second that it takes: it is for hosts that are busy with something else.
const (
	bootTime    = time.Minute
	destroyTime = 30 * time.Second
)

// machine is a running system container.
type machine struct {
	ref   lab.MachineRef
	name  string // its container's
	api   *client.Client
	dir   string // its volumes
	sock  string // its runtime folder
	guest agent
	// engine is what the machine runs on.
	engine *engine

	looked     sync.Once // whatDied, once the agent was lost
	died, last string

	mu        sync.Mutex
	destroyed bool
}

// Start makes the machine's container, waits until everything in it is ready, and makes its accounts.
func (d *Driver) Start(ctx context.Context, id lab.RunID, l *lab.Lab, m lab.Machine) (_ lab.Running, err error) {
	ref, began := lab.MachineRef("machine."+m.Name), time.Now()
	infra := func(err error) error {
		var already *lab.InfraError
		if errors.As(err, &already) || ctx.Err() != nil {
			return err
		}
		return &lab.InfraError{What: "cannot start " + string(ref), Hint: "saigen doctor says what the host lacks", Err: err}
	}
	r, e, err := d.engineFor(ctx, id, l)
	if err != nil {
		return nil, infra(err)
	}
	net, err := d.networkFor(ctx, r, e, l)
	if err != nil {
		return nil, infra(err)
	}
	prepared, err := d.prepared.Of(l)
	if err != nil {
		return nil, infra(err)
	}
	images := prepared[m.Name]
	if d.o.Engine != "" {
		if images.ref, err = e.load(ctx, r, images.built); err != nil {
			return nil, infra(err)
		}
	}

	v := &machine{
		ref:    ref,
		name:   "saigen-" + string(id) + "-" + m.Name,
		api:    e.api,
		dir:    filepath.Join(r.Dir, "machines", m.Name),
		sock:   filepath.Join(r.Sock, m.Name),
		engine: e,
	}
	defer func() {
		if err != nil {
			if ctx.Err() == nil && e.gone(diedTime/2) {
				what, tail := e.obituary()
				err = &lab.InfraError{What: "cannot start " + string(ref) + ": " + what, Tail: tail, Err: err}
			}
			err = errors.Join(infra(err), v.Destroy(ctx))
		}
	}()
	for controller, asked := range map[string]bool{"memory": m.Memory != "", "cpu": m.CPUs > 0} {
		if asked && !e.limits.has(controller) {
			d.o.Log.Warn("the host gives no cgroup controller for a limit of the machine", "machine", ref, "controller", controller)
		}
	}
	binds, err := v.volumes(d.o.Self, images.services, e.limits)
	if err != nil {
		return nil, err
	}
	if d.o.Engine != "" {
		if err := r.Ledger.Record(ledger.Entry{Kind: KindContainer, Path: v.name, Host: d.o.Engine}); err != nil {
			return nil, err
		}
	}
	p, err := provider(e)
	if err != nil {
		return nil, err
	}
	if err := v.boot(ctx, p, request(r.ID, e, net, l, m, v.name, images.ref, binds)); err != nil {
		return nil, err
	}
	d.o.Log.Debug("container started", "machine", ref, "took", time.Since(began))
	if err := driver.Await(ctx, d.bootTime, ref, d.readiness(v, m), v.Console, d.o.Log); err != nil {
		return nil, err
	}
	return v, nil
}

// engineTime is how long an engine may take to make and start a container: a tenth of a second, on a host that is idle.
const engineTime = time.Minute

// boot makes and starts the container. Neither is cancelled half-way: the engine would go on behind our back, and what
// it made would be there after it was looked for and removed.
func (v *machine) boot(ctx context.Context, p *testcontainers.DockerProvider, req testcontainers.ContainerRequest) error {
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTime)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := p.CreateContainer(whole, req)
	if err != nil {
		return fmt.Errorf("cannot make container %s: %w", v.name, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.Start(whole); err != nil {
		return fmt.Errorf("cannot start container %s: %w", v.name, err)
	}
	return nil
}

// volumes makes the machine's folders and returns what is mounted where. /home and /var/lib/containers are on the
// host's file system: podman's overlay driver cannot sit on the overlay that is the machine's root.
func (v *machine) volumes(self, services string, limits limits) ([]string, error) {
	home, root, etc := filepath.Join(v.dir, "home"), filepath.Join(v.dir, "containers"), filepath.Join(v.dir, "etc")
	for _, dir := range []string{home, root, etc, v.sock} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("cannot make the machine's folders: %w", err)
		}
	}
	resolv := filepath.Join(etc, "resolv.conf")
	if err := os.WriteFile(resolv, []byte("# saigen: no network leads out of this machine, so no name server answers\n"), 0o644); err != nil {
		return nil, fmt.Errorf("cannot write the machine's resolv.conf: %w", err)
	}
	binds := []string{
		self + ":" + agentBinary + ":ro",
		v.sock + ":" + agentFolder,
		home + ":/home",
		root + ":/var/lib/containers",
		resolv + ":/etc/resolv.conf",
		services + ":" + serviceImages + ":ro",
	}
	if conf := renderMachineConf(limits); conf != "" {
		file := filepath.Join(etc, "50-saigen.conf")
		if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
			return nil, fmt.Errorf("cannot write the machine's containers.conf: %w", err)
		}
		binds = append(binds, file+":"+podmanDropIn+":ro")
	}
	return binds, nil
}

// request describes the container. Nothing waits in testcontainers: a machine is ready when its own agent says so.
func request(run lab.RunID, e *engine, net *network, l *lab.Lab, m lab.Machine, name, image string, binds []string) testcontainers.ContainerRequest {
	req := testcontainers.ContainerRequest{
		Name:  name,
		Image: image,
		Labels: map[string]string{
			labelRun:     string(run),
			labelMachine: m.Name,
		},
		Cmd: []string{"/sbin/init"}, // podman's systemd mode goes by this name
		ConfigModifier: func(c *mobycontainer.Config) {
			c.Hostname = m.Name
			c.Tty = true // systemd says nothing where there is no console
			c.StopSignal = "SIGRTMIN+3"
		},
		HostConfigModifier: func(h *mobycontainer.HostConfig) {
			h.Privileged = true
			h.CgroupnsMode = "private"
			h.Binds = binds
			h.NetworkMode = "none"
			if net != nil {
				h.NetworkMode = mobycontainer.NetworkMode(net.name)
				h.ExtraHosts = net.hosts(l)
			}
			if e.docker { // what podman's systemd mode does by itself
				h.Tmpfs = map[string]string{"/run": "", "/run/lock": "", "/tmp": ""}
			}
			if e.limits.has("memory") && m.Memory != "" {
				h.Memory = m.Memory.Bytes()
				h.MemorySwap = h.Memory
			}
			if e.limits.has("cpu") && m.CPUs > 0 {
				h.NanoCPUs = int64(m.CPUs) * 1e9
			}
		},
	}
	if e.docker {
		req.Env = map[string]string{"container": "docker"}
	}
	if net != nil {
		req.EndpointSettingsModifier = func(settings map[string]*mobynetwork.EndpointSettings) {
			settings[net.name] = &mobynetwork.EndpointSettings{
				IPAMConfig: &mobynetwork.EndpointIPAMConfig{IPv4Address: net.address(l, m.Name)},
			}
		}
	}
	return req
}

// Ref is the machine's address in the lab.
func (v *machine) Ref() lab.MachineRef { return v.ref }

// Run executes a command through the agent.
func (v *machine) Run(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	res, err := v.guest.Run(ctx, cmd)
	return res, v.explain(err)
}

// Put writes a file through the agent.
func (v *machine) Put(ctx context.Context, f lab.File) error { return v.explain(v.guest.Put(ctx, f)) }

// Watch has the agent observe a probe.
func (v *machine) Watch(ctx context.Context, p lab.Probe, each func(lab.Observation)) error {
	return v.explain(v.guest.Watch(ctx, p, each))
}

// Clock is as good as 0: the machine has the host's clock.
func (v *machine) Clock(ctx context.Context) (time.Duration, error) {
	d, err := v.guest.Clock(ctx)
	return d, v.explain(err)
}

// escape is what systemd colours its console with.
var escape = regexp.MustCompile("\x1b\\[[0-9;?]*[a-zA-Z]")

// Console returns the last lines that systemd wrote to the console.
func (v *machine) Console(ctx context.Context) (string, error) {
	logs, err := v.api.ContainerLogs(ctx, v.name, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "40"})
	if err != nil {
		return "", fmt.Errorf("cannot read the console of %s: %w", v.ref, err)
	}
	defer logs.Close()
	data, err := io.ReadAll(logs)
	if err != nil {
		return "", fmt.Errorf("cannot read the console of %s: %w", v.ref, err)
	}
	return strings.ReplaceAll(escape.ReplaceAllString(string(data), ""), "\r", ""), nil
}

// Destroy kills the machine and removes its container, volumes and sockets. It ignores the cancellation of ctx.
func (v *machine) Destroy(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.destroyed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTime)
	defer cancel()
	var errs []error
	if v.guest != nil {
		_ = v.guest.Close() // the machine goes away under it
	}
	errs = append(errs, v.remove(ctx))
	errs = append(errs, os.RemoveAll(v.sock), os.RemoveAll(v.dir))
	if err := errors.Join(errs...); err != nil {
		return &lab.InfraError{What: "cannot destroy " + string(v.ref), Hint: "saigen gc removes what is left", Err: err}
	}
	v.destroyed = true
	return nil
}

// remove removes the container by its name: when making it was cancelled, nobody knows whether it is there. It is
// stopped first, with no time to do so, because podman gives systemd ten seconds otherwise.
func (v *machine) remove(ctx context.Context) error {
	now := 0
	_, err := v.api.ContainerStop(ctx, v.name, client.ContainerStopOptions{Timeout: &now})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	_, err = v.api.ContainerRemove(ctx, v.name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return err
	}
	return nil
}
