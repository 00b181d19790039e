package vagrant

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/driver"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
)

// How long things may take. The first is for emulated machines on a busy host, and is Vagrant's own limit too; the second
// for a graceful Vagrant, before what it leaves is removed by force.
const (
	bootTime    = 10 * time.Minute
	destroyTime = time.Minute
)

// machine is a machine that Vagrant has brought up.
type machine struct {
	ref   lab.MachineRef
	name  string
	e     *environment
	sock  string // its runtime folder
	guest agent

	mu        sync.Mutex
	destroyed bool
}

// sshConfig is what `vagrant ssh-config` says of a machine, in its runtime folder.
const sshConfig = "ssh_config"

// Start brings up the machine, waits until everything in it is ready, and makes its accounts.
func (d *Driver) Start(ctx context.Context, id lab.RunID, l *lab.Lab, m lab.Machine) (_ lab.Running, err error) {
	ref, began := lab.MachineRef("machine."+m.Name), time.Now()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, e, p, err := d.environment(id, l)
	if err != nil {
		return nil, e.explain(ctx, ref, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := d.open(ctx, r, e, l, p); err != nil {
		return nil, e.explain(ctx, ref, err)
	}
	if err := e.forget(ctx); err != nil { // what a snapshot has kept is not what is asked for
		return nil, e.explain(ctx, ref, err)
	}
	v := &machine{ref: ref, name: m.Name, e: e, sock: filepath.Join(r.Sock, m.Name)}
	defer func() {
		if err != nil {
			err = errors.Join(e.explain(ctx, ref, err), v.destroy(ctx))
		}
	}()
	if err := os.MkdirAll(v.sock, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the machine's folder: %w", err)
	}
	args := []string{"up", "--no-parallel", "--no-destroy-on-error"}
	if !p.foreign() || l.Vagrant.Provider != "" {
		args = append(args, "--provider", e.Provider)
	}
	if _, err := e.vagrant(ctx, append(args, m.Name)...); err != nil {
		return nil, err
	}
	d.o.Log.Debug("vagrant up has ended", "machine", ref, "took", time.Since(began))
	if err := v.askConfig(ctx); err != nil {
		return nil, err
	}
	if err := driver.Await(ctx, bootTime, ref, d.readiness(v, m, p), v.Console, d.o.Log); err != nil {
		return nil, err
	}
	e.alive[m.Name] = true
	return v, nil
}

// explain makes an InfraError of what went wrong with a machine.
func (e *environment) explain(ctx context.Context, ref lab.MachineRef, err error) error {
	var already *lab.InfraError
	if errors.As(err, &already) || ctx.Err() != nil {
		return err
	}
	i := &lab.InfraError{What: "cannot start " + string(ref), Hint: "saigen doctor says what the host lacks", Err: err}
	var failed *toolError
	if errors.As(err, &failed) {
		i.Tail = failed.tail
	}
	return i
}

// askConfig asks Vagrant how to reach the machine. That stays as it is, also when the machine comes back from a snapshot.
func (v *machine) askConfig(ctx context.Context) error {
	out, err := v.e.vagrant(ctx, "ssh-config", v.name)
	if err != nil {
		return err
	}
	v.e.ssh[v.name] = out
	return v.keepConfig()
}

// keepConfig writes how to reach the machine to where other processes find it.
func (v *machine) keepConfig() error {
	if err := os.WriteFile(filepath.Join(v.sock, sshConfig), []byte(v.e.ssh[v.name]), 0o600); err != nil {
		return fmt.Errorf("cannot keep how to reach %s: %w", v.ref, err)
	}
	return nil
}

// Ref is the machine's address in the lab.
func (v *machine) Ref() lab.MachineRef { return v.ref }

// Run executes a command through the agent.
func (v *machine) Run(ctx context.Context, cmd lab.Command) (lab.Result, error) {
	return v.guest.Run(ctx, cmd)
}

// Put writes a file through the agent.
func (v *machine) Put(ctx context.Context, f lab.File) error { return v.guest.Put(ctx, f) }

// Watch has the agent observe a probe.
func (v *machine) Watch(ctx context.Context, p lab.Probe, each func(lab.Observation)) error {
	return v.guest.Watch(ctx, p, each)
}

// Clock asks the agent: a VM has a clock of its own.
func (v *machine) Clock(ctx context.Context) (time.Duration, error) { return v.guest.Clock(ctx) }

// Console returns what the machine's journal has last, or what Vagrant said when nobody answers in the machine.
func (v *machine) Console(ctx context.Context) (string, error) {
	if v.guest != nil {
		if text, err := journal(ctx, v.guest); err == nil {
			return text, nil
		}
	}
	data, err := os.ReadFile(filepath.Join(v.e.Dir, logName))
	if err != nil {
		return "", fmt.Errorf("cannot read the console of %s: %w", v.ref, err)
	}
	return tail(string(data)), nil
}

// journal asks a machine for what its journal has last.
func journal(ctx context.Context, a agent) (string, error) {
	cmd := lab.Command{Argv: []string{"journalctl", "--no-pager", "--boot", "--lines=40"}}
	res, err := a.Run(ctx, cmd)
	if err == nil {
		err = res.Err(cmd)
	}
	return string(res.Stdout), err
}

// Destroy removes the machine. One that came from a snapshot is only ended: the snapshot stays as long as the run does.
func (v *machine) Destroy(ctx context.Context) error {
	v.e.mu.Lock()
	defer v.e.mu.Unlock()
	return v.destroy(ctx)
}

// destroy does it; e.mu is held.
func (v *machine) destroy(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.destroyed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTime)
	defer cancel()
	if v.guest != nil {
		_ = v.guest.Close() // the machine goes away under it
	}
	var err error
	if len(v.e.saved) > 0 {
		err = v.e.provider.stop(ctx, v.e, v.name)
	} else {
		err = v.e.destroy(ctx, v.name)
	}
	if err = errors.Join(err, os.RemoveAll(v.sock)); err != nil {
		return &lab.InfraError{What: "cannot destroy " + string(v.ref), Hint: "saigen gc removes what is left", Err: err}
	}
	v.destroyed = true
	delete(v.e.alive, v.name)
	return nil
}

// command runs a command in the machine, as root, that must succeed.
func (v *machine) command(ctx context.Context, stdin io.Reader, argv ...string) error {
	cmd := lab.Command{Argv: argv, Stdin: stdin}
	res, err := v.guest.Run(ctx, cmd)
	if err != nil {
		return err
	}
	return res.Err(cmd)
}

// serviceImages is the image of the services' store in a machine; it is mounted where the container driver mounts a folder.
const serviceImages = "/var/lib/saigen/services.img"

// bringServices copies the disk with the services' images into the machine and mounts it. Most of it is holes.
func (v *machine) bringServices(ctx context.Context, disk image.Disk) error {
	f, err := os.Open(disk.Path)
	if err != nil {
		return fmt.Errorf("cannot read the services' images: %w", err)
	}
	defer f.Close()
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err == nil {
			_, err = io.Copy(z, f)
			err = errors.Join(err, z.Close())
		}
		packed <- err
		_ = w.CloseWithError(err)
	}()
	const script = `set -e
gzip -dc | dd of="$0" bs=1M iflag=fullblock conv=sparse status=none
mkdir -p /var/lib/saigen/images
mount -o loop,ro "$0" /var/lib/saigen/images`
	err = v.command(ctx, r, "sh", "-c", script, serviceImages)
	_ = r.Close() // the packer ends when nobody reads any more
	if packErr := <-packed; err == nil {
		err = packErr
	}
	return err
}

// name gives the machine its name, and the names of the others.
func (v *machine) callIt(ctx context.Context) error {
	const script = `set -e
echo "$0" > /etc/hostname
hostname "$0"
cat > /etc/hosts`
	return v.command(ctx, strings.NewReader(v.e.hosts(v.name)), "sh", "-c", script, v.name)
}
