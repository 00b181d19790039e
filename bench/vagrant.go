package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/vagrant"
)

// libvirtHere runs a command beside a libvirtd of its own, as the tests of the vagrant driver do.
const libvirtHere = "vagrant/testdata/libvirt-here"

// measureVagrant makes what needs the internet, and then runs this program again, beside a libvirtd of its own.
func measureVagrant(ctx context.Context, w *work) (err error) {
	l, err := w.lab()
	if err != nil {
		return err
	}
	l = alone(l)
	p := w.places(vagrant.Undoers()...)
	defer p.close()
	var built image.Built
	d := vagrant.New(vagrant.Options{
		Self: w.self, Images: w.images, Runtime: p.runtime(), Scratch: p.scratch, Ledger: p.ledger, Log: w.log,
		Built: func(_ *lab.Lab, b image.Built) { built = b },
	})
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	if err := d.Prepare(ctx, l, w.say); err != nil {
		return err
	}
	if w.beside == "" {
		file, loud := filepath.Join(w.dir, "figures.json"), *w
		loud.verbose = true
		if _, err := loud.run(ctx, nil, filepath.Join(w.repository, libvirtHere), w.self, "-only", "vagrant", "-beside", file, "-saigen", w.saigen); err != nil {
			return err
		}
		f, err := loadFigures(file)
		if err == nil {
			w.figures.Lines["vagrant"] = f.Lines["vagrant"]
		}
		return err
	}

	began := time.Now()
	if _, err := d.Start(ctx, "bench", l, l.Machines[0]); err != nil {
		return err
	}
	w.saigenTook("vagrant", time.Since(began).Seconds())
	w.say("saigen's machine is up after %.1f s", time.Since(began).Seconds())
	if err := d.Release(ctx, "bench"); err != nil {
		return err
	}
	k, err := w.images.Kernel(ctx, built.Image.Debian, built.Image.Snapshot, w.say)
	if err != nil {
		return err
	}
	box, err := w.images.Box(ctx, built, k, "libvirt", w.say)
	if err != nil {
		return err
	}
	return w.vagrantByHand(ctx, box)
}

// vagrantfile is what a person writes who wants this machine: as large as saigen's, without KVM where there is none.
const vagrantfile = `Vagrant.configure('2') do |config|
  config.vm.box = 'by-hand'
  config.vm.guest = 'debian'
  config.ssh.insert_key = false
  config.vm.provider 'libvirt' do |v|
    v.driver = '%s'
    %s
    v.memory = 1024
    v.cpus = 2
    v.graphics_type = 'none'
    v.disk_driver cache: 'unsafe'
  end
end
`

func (w *work) vagrantByHand(ctx context.Context, box string) (err error) {
	folder, home := filepath.Join(w.dir, "vagrant"), filepath.Join(w.dir, "vagrant-home")
	for _, dir := range []string{folder, home} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(w.dir, 0o711); err != nil { // libvirt's QEMU is another user
		return err
	}
	text := fmt.Sprintf(vagrantfile, "kvm", "")
	if _, err := os.Stat("/dev/kvm"); err != nil { // libvirtHere hides one that does not work
		text = fmt.Sprintf(vagrantfile, "qemu", "v.cpu_mode = 'custom'\n    v.cpu_model = 'Nehalem'")
	}
	if err := os.WriteFile(filepath.Join(folder, "Vagrantfile"), []byte(text), 0o644); err != nil {
		return err
	}
	env := []string{"VAGRANT_HOME=" + home, "VAGRANT_CWD=" + folder, "VAGRANT_CHECKPOINT_DISABLE=1", "VAGRANT_BOX_UPDATE_CHECK_DISABLE=1", "VAGRANT_NO_COLOR=1"}
	defer func() {
		_, gone := w.run(context.WithoutCancel(ctx), env, "vagrant", "destroy", "--force")
		err = errors.Join(err, gone)
	}()
	var sum time.Duration
	for _, argv := range [][]string{
		{"vagrant", "box", "add", "--name", "by-hand", "--provider", "libvirt", box},
		{"vagrant", "up", "--provider", "libvirt"},
		{"vagrant", "ssh", "--command", "systemctl is-system-running --wait || true"},
	} {
		took, err := w.run(ctx, env, argv...)
		if err != nil {
			return err
		}
		sum += took
	}
	w.handTook("vagrant", sum.Seconds())
	w.say("by hand it is up after %.1f s", sum.Seconds())
	return nil
}
