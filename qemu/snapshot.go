package qemu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/ledger"
)

// A snapshot is an entry of the image cache. For each machine it has its memory, the state of its processors and devices,
// what it has written to its disk, and what its clock showed. Nothing in it is ever written to: a copy of a machine maps the memory privately,
// so that what it does not write to is there once for all copies, in the host's page cache, and has an overlay of its own
// above the saved one.

// snapshotRecipe changes when the snapshots of an older saigen must not be used any more, for a reason that their key does not show.
const snapshotRecipe = 2

// The files of one machine in a snapshot.
func savedRAM(dir, machine string) string   { return filepath.Join(dir, machine+".ram") }
func savedState(dir, machine string) string { return filepath.Join(dir, machine+".state") }
func savedDisk(dir, machine string) string  { return filepath.Join(dir, machine+".qcow2") }
func savedClock(dir, machine string) string { return filepath.Join(dir, machine+".clock") }

// snapshotKey is all that a saved state depends on. A machine goes on only in the same virtual hardware, with the same
// bytes on its disks, and with the agent that this saigen speaks to.
type snapshotKey struct {
	Recipe    int
	Key       string // the runner's, of the lab
	QEMU      string
	Machine   string
	CPU       string
	Accel     string
	Processor string // of the host: where there is no KVM, the machine's clock goes at its pace
	Agent     string
	AgentDisk string
	Machines  []machineKey
}

type machineKey struct {
	Name                   string
	Disk, Services, Kernel string
	CommandLine            string
	CPUs                   int
	Memory                 int64
}

func (k snapshotKey) hash() string {
	data, _ := json.Marshal(k) // strings and numbers: it cannot fail
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (d *Driver) snapshotKey(l *lab.Lab, all map[string]parts, key string) (snapshotKey, error) {
	version, err := d.version()
	if err != nil {
		return snapshotKey{}, err
	}
	processor, err := d.processor()
	if err != nil {
		return snapshotKey{}, err
	}
	k := snapshotKey{
		Recipe: snapshotRecipe, Key: key, QEMU: version, Machine: machine, CPU: cpuModel, Accel: d.accel(), Processor: processor,
		Agent: guest.Build(),
	}
	for _, m := range l.Machines {
		p := all[m.Name]
		k.AgentDisk = p.agent.Hash
		k.Machines = append(k.Machines, machineKey{
			Name: m.Name, Disk: p.disk.Hash, Services: p.services.Hash, Kernel: p.kernel.Hash,
			CommandLine: vm{host: m.Name}.commandLine(), CPUs: cpusOf(m), Memory: memoryOf(m),
		})
	}
	return k, nil
}

// errNotSaved says which machines cannot be saved.
var errNotSaved = errors.New("it was not booted by this driver, or is destroyed")

// Save implements lab.Snapshotter. The machines are destroyed also when they could not be saved.
func (d *Driver) Save(ctx context.Context, id lab.RunID, l *lab.Lab, key string, machines []lab.Running) (err error) {
	defer func() {
		for _, m := range machines {
			err = errors.Join(err, m.Destroy(ctx))
		}
	}()
	_, all, err := d.runFor(id, l)
	if err != nil {
		return infra(ctx, "cannot save the machines", err)
	}
	k, err := d.snapshotKey(l, all, key)
	if err != nil {
		return infra(ctx, "cannot save the machines", err)
	}
	name := l.Name + " on qemu"
	if variant := l.Variant.String(); variant != "" {
		name = l.Name + " " + variant + " on qemu"
	}
	_, _, err = d.o.Images.Make(ctx, image.KindSnapshot, k.hash(), name, func(string, ...any) {}, func(tmp string) error {
		return saveAll(ctx, machines, tmp)
	})
	return infra(ctx, "cannot save the machines", err)
}

// Passing implements lab.Forgetter.
func (d *Driver) Passing(ctx context.Context, id lab.RunID, l *lab.Lab, key string) error {
	r, all, err := d.runFor(id, l)
	if err != nil {
		return infra(ctx, "cannot save the machines", err)
	}
	k, err := d.snapshotKey(l, all, key)
	if err != nil {
		return infra(ctx, "cannot save the machines", err)
	}
	e := ledger.Entry{Kind: KindSnapshot, Path: d.o.Images.Path(image.KindSnapshot, k.hash())}
	return infra(ctx, "cannot save the machines", r.Ledger.Record(e))
}

// Forget implements lab.Forgetter.
func (d *Driver) Forget(ctx context.Context, id lab.RunID, l *lab.Lab, key string) error {
	_, all, err := d.runFor(id, l)
	if err != nil {
		return infra(ctx, "cannot remove a snapshot", err)
	}
	k, err := d.snapshotKey(l, all, key)
	if err != nil {
		return infra(ctx, "cannot remove a snapshot", err)
	}
	_, err = d.o.Images.Remove(ctx, image.KindSnapshot, k.hash()) // one that another process uses is no longer this run's
	return infra(ctx, "cannot remove a snapshot", err)
}

func saveAll(ctx context.Context, machines []lab.Running, dir string) error {
	var vms []*vmachine
	for _, m := range machines {
		v, ok := m.(*vmachine)
		if !ok || v.ram == nil {
			return fmt.Errorf("cannot save %s: %w", m.Ref(), errNotSaved)
		}
		vms = append(vms, v)
	}
	settle, settling := errgroup.WithContext(ctx)
	for _, v := range vms {
		settle.Go(func() error { return v.settle(settling) })
	}
	if err := settle.Wait(); err != nil {
		return err
	}
	stop, stopping := errgroup.WithContext(ctx)
	for _, v := range vms {
		stop.Go(func() error { return v.stop(stopping) })
	}
	if err := stop.Wait(); err != nil {
		return err
	}
	save, saving := errgroup.WithContext(ctx)
	for _, v := range vms {
		save.Go(func() error {
			if err := v.save(saving, dir); err != nil {
				return fmt.Errorf("cannot save %s: %w", v.ref, err)
			}
			return nil
		})
	}
	return save.Wait()
}

// A machine has settled when its QEMU needs less than a tenth of a processor during settleFor: its clock ticks always. One
// that is never idle is not waited for any longer than settleTime.
const (
	settleFor  = 200 * time.Millisecond
	settleTime = 5 * time.Second
)

// settle has the machine finish what it would otherwise do in every copy: writing back its files, and ending the
// connection to this process. Nobody may be speaking with an agent whose machine goes on in another place. Last it asks for
// the clock, which nothing sets from then on.
func (v *vmachine) settle(ctx context.Context) error {
	_, err := v.guest.Run(ctx, lab.Command{Argv: []string{"sync"}})
	if err == nil {
		v.off, _, err = v.guest.MeasureClock(ctx)
	}
	if err := errors.Join(err, v.guest.Close()); err != nil {
		return fmt.Errorf("cannot settle %s: %w", v.ref, err)
	}
	p, err := procfs.NewProc(v.process.cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("cannot settle %s: %w", v.ref, err)
	}
	tick, limit := time.NewTicker(settleFor), time.After(settleTime)
	defer tick.Stop()
	for last := -1.0; ; {
		stat, err := p.Stat()
		if err != nil {
			return fmt.Errorf("cannot settle %s: %w", v.ref, err)
		}
		now := stat.CPUTime()
		if last >= 0 && now-last <= settleFor.Seconds()/10 {
			return nil
		}
		last = now
		select {
		case <-tick.C:
		case <-limit:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// save writes a machine that is stopped to a folder, and ends it.
func (v *vmachine) save(ctx context.Context, dir string) error {
	name, mon := v.ref.Name(), v.process.mon
	state, err := os.OpenFile(savedState(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer state.Close()
	if err := mon.ignoreShared(ctx); err != nil {
		return err
	}
	if err := mon.getFD(ctx, "state", state); err != nil {
		return err
	}
	if err := mon.do(ctx, "migrate", map[string]string{"uri": "fd:state"}, nil); err != nil {
		return err
	}
	if err := mon.migrated(ctx); err != nil {
		return err
	}
	if err := v.process.quit(ctx); err != nil {
		return err
	}
	if err := copySparse(savedRAM(dir, name), v.ram); err != nil {
		return err
	}
	clock, err := v.clock.MarshalText()
	if err != nil {
		return err
	}
	if err := os.WriteFile(savedClock(dir, name), clock, 0o600); err != nil {
		return err
	}
	if err := state.Sync(); err != nil {
		return err
	}
	return move(savedDisk(dir, name), filepath.Join(v.dir, rootDisk))
}

// move renames a file, or copies it where the new place is on another file system.
func move(to, from string) error {
	f, err := os.OpenFile(from, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	err = os.Rename(from, to)
	if err == nil {
		return f.Sync()
	}
	if !errors.Is(err, unix.EXDEV) {
		return err
	}
	return copySparse(to, f)
}
