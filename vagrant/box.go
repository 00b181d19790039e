package vagrant

import (
	"context"
	"path/filepath"

	"github.com/saigen-lab/saigen/image"
)

// box is a box that is on this host.
type box struct {
	name  string // for Vagrant
	file  string
	guest string // the system in it, as Vagrant calls it; empty: unknown
}

// box makes a box of an image. Its kernel is in it, for Vagrant's other users; here it is brought to where QEMU, which is
// another user, may read it.
func (d *Driver) box(ctx context.Context, built image.Built, provider string, say func(string, ...any)) (box, boot, error) {
	k, err := d.o.Images.Kernel(ctx, built.Image.Debian, built.Image.Snapshot, say)
	if err != nil {
		return box{}, boot{}, err
	}
	file, err := d.o.Images.Box(ctx, built, k, provider, say)
	if err != nil {
		return box{}, boot{}, err
	}
	agent, err := d.o.Images.AgentDisk(ctx, d.o.Self, say)
	if err != nil {
		return box{}, boot{}, err
	}
	name := "saigen-" + short(filepath.Base(filepath.Dir(file))) // the folder is named by the hash of all that is in the box
	return box{name: name, file: file, guest: "debian"}, boot{Kernel: k.Image, Initrd: k.Initrd, Arguments: image.KernelArguments, Agent: agent.Path}, nil
}
