package vagrant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/driver"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
)

// prepared is what a lab's machines need, once it is there.
type prepared struct {
	provider string
	folder   string // of a team's Vagrantfile; empty: saigen writes one
	boxes    map[string]box
	boots    map[string]boot
	services map[string]image.Disk // to be copied into machines that have no boot, where they have stacks
}

func (p *prepared) foreign() bool { return p.folder != "" }

// Prepare builds the images of the lab's machines and makes boxes of them, or fetches the box that the lab names; and it
// builds the images of the stacks.
func (d *Driver) Prepare(ctx context.Context, l *lab.Lab, say func(format string, args ...any)) error {
	return d.prepared.Once(l, func() (*prepared, error) { return d.prepare(ctx, l, say) })
}

func (d *Driver) prepare(ctx context.Context, l *lab.Lab, say driver.Say) (*prepared, error) {
	v := lab.Vagrant{}
	if l.Vagrant != nil {
		v = *l.Vagrant
	}
	p := &prepared{provider: v.Provider, boxes: map[string]box{}, boots: map[string]boot{}, services: map[string]image.Disk{}}
	if p.provider == "" {
		p.provider = defaultProvider(ctx)
	}
	var err error
	switch {
	case v.File != "":
		p.folder, err = vagrantfileFolder(l, v.File)
	case v.Box != "":
		err = d.fetchBox(ctx, l, v, p, say)
	default:
		err = d.ownBoxes(ctx, l, p, say)
	}
	if err == nil {
		err = d.services(ctx, l, p, say)
	}
	return p, err
}

// defaultProvider is the provider for labs that name none.
func defaultProvider(ctx context.Context) string {
	if p := os.Getenv("VAGRANT_DEFAULT_PROVIDER"); p != "" {
		return p
	}
	plugins, err := listPlugins(ctx)
	if err == nil && !strings.Contains(plugins, "vagrant-libvirt") {
		return "virtualbox" // the one that Vagrant brings along
	}
	return "libvirt"
}

// vagrantfileFolder is the folder of the lab's own Vagrantfile, in the lab's folder.
func vagrantfileFolder(l *lab.Lab, file lab.Path) (string, error) {
	path := filepath.Join(l.Dir, string(file))
	if filepath.Base(path) != "Vagrantfile" {
		return "", fmt.Errorf("cannot use %s: Vagrant wants the file to be called Vagrantfile", file)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("cannot use the lab's Vagrantfile: %w", err)
	}
	return filepath.Dir(path), nil
}

func (d *Driver) fetchBox(ctx context.Context, l *lab.Lab, v lab.Vagrant, p *prepared, say func(string, ...any)) error {
	if d.o.Fetch == nil {
		return errors.New("cannot fetch the lab's box: nothing here fetches files")
	}
	say("box %s: fetching it, unless it is here", v.Box)
	file, err := d.o.Fetch(ctx, v.Box, v.Checksum)
	if err != nil {
		return &lab.InfraError{What: "cannot fetch the lab's box", Hint: "the address and the checksum are in the lab's vagrant block", Err: err}
	}
	_, sum, _ := strings.Cut(v.Checksum, ":")
	b := box{name: "saigen-" + short(sum), file: file}
	for _, m := range l.Machines {
		p.boxes[m.Name] = b
	}
	return nil
}

// short is as much of a hash as names carry.
func short(hash string) string { return hash[:min(12, len(hash))] }

func (d *Driver) ownBoxes(ctx context.Context, l *lab.Lab, p *prepared, say driver.Say) error {
	for _, m := range l.Machines {
		built, err := d.images().Machine(ctx, l, m, say)
		if err != nil {
			return fmt.Errorf("cannot prepare machine.%s: %w", m.Name, err)
		}
		b, k, err := d.box(ctx, built, p.provider, say)
		if err != nil {
			return fmt.Errorf("cannot prepare machine.%s: %w", m.Name, err)
		}
		p.boxes[m.Name], p.boots[m.Name] = b, k
	}
	return nil
}

// services builds the images of every machine's stacks.
func (d *Driver) services(ctx context.Context, l *lab.Lab, p *prepared, say driver.Say) error {
	for _, m := range l.Machines {
		if !slices.ContainsFunc(l.Stacks, func(s lab.Stack) bool { return s.Machine.Name() == m.Name }) {
			continue
		}
		all, err := d.images().Services(ctx, l, m, say)
		if err != nil {
			return fmt.Errorf("cannot prepare machine.%s: %w", m.Name, err)
		}
		disk, err := d.o.Images.ServiceDisk(ctx, all, say)
		if err != nil {
			return fmt.Errorf("cannot prepare machine.%s: %w", m.Name, err)
		}
		if b, ok := p.boots[m.Name]; ok {
			b.Services = disk.Path
			p.boots[m.Name] = b
		} else {
			p.services[m.Name] = disk
		}
	}
	return nil
}

func (d *Driver) images() driver.Images { return driver.Images{Cache: d.o.Images, Built: d.o.Built} }
