package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// boxProvider is the provider of Vagrant that boxes are made for where the lab names none.
const boxProvider = "libvirt"

func (w *world) boxCommand() *cobra.Command {
	var out, machine string
	c := &cobra.Command{
		Use:   "box LAB|ADDRESS [AXIS:VALUE|!AXIS:VALUE ...]",
		Short: "Make a Vagrant box of a lab's machine",
		Long: `Make a Vagrant box of the image of a lab's machine: the lab's first, or the one that is named. The box has the packages
that the machine has with every other driver, and besides them what Vagrant needs to get in.`,
		Example: "  saigen box labs/stale-dns debian:bookworm -o server.box",
		RunE: func(cmd *cobra.Command, args []string) error {
			_, _, labs, err := w.choose(cmd.Context(), args)
			if err != nil {
				return err
			}
			l, m, err := oneImage(labs, machine)
			if err != nil {
				return err
			}
			if out == "" {
				out = l.Name + "-" + m.Name + ".box"
			}
			return w.makeBox(cmd.Context(), l, m, out)
		},
		ValidArgsFunction: w.completeLabsAndFilters,
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the `FILE` to write (default: LAB-MACHINE.box)")
	c.Flags().StringVar(&machine, "machine", "", "the `MACHINE` whose image to take (default: the lab's first)")
	_ = c.RegisterFlagCompletionFunc("machine", w.completeLabMachines)
	return c
}

// oneImage finds the machine whose image is meant: it must be the same in every variant that passes the filters.
func oneImage(labs []*lab.Lab, machine string) (*lab.Lab, lab.Machine, error) {
	var found *lab.Lab
	var which lab.Machine
	var same string
	for _, l := range labs {
		i := slices.IndexFunc(l.Machines, func(m lab.Machine) bool { return machine == "" || m.Name == machine })
		if i < 0 {
			return nil, which, usage("%s has no machine %q", l.Name, machine)
		}
		m := l.Machines[i]
		img, err := imageOf(l, m)
		if err != nil {
			return nil, which, err
		}
		img.Pos = lab.Pos{}
		text := fmt.Sprintf("%#v", img)
		if found != nil && text != same {
			return nil, which, usage("machine.%s has not the same image in all %d variants; add a filter, such as %s", m.Name, len(labs), found.Variant)
		}
		if found == nil {
			found, which, same = l, m, text
		}
	}
	return found, which, nil
}

func imageOf(l *lab.Lab, m lab.Machine) (lab.Image, error) {
	i := slices.IndexFunc(l.Images, func(img lab.Image) bool { return img.Name == m.Image.Name() })
	switch {
	case i < 0:
		return lab.Image{}, usage("machine.%s has no image: it comes from where the vagrant block says", m.Name)
	case l.Images[i].Debian == "":
		return lab.Image{}, usage("%s is not made of Debian packages, and a box is", m.Image)
	}
	return l.Images[i], nil
}

func (w *world) makeBox(ctx context.Context, l *lab.Lab, m lab.Machine, out string) error {
	p, err := w.paths()
	if err != nil {
		return err
	}
	img, err := imageOf(l, m)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(w.stderr, format+"\n", args...) }
	images := image.New(p.cache, w.log)
	built, err := images.Build(ctx, img, image.Machine, l.Dir, say)
	if err != nil {
		return stopped(ctx, err)
	}
	kernel, err := images.Kernel(ctx, img.Debian, img.Snapshot, say)
	if err != nil {
		return stopped(ctx, err)
	}
	provider := boxProvider
	if l.Vagrant != nil && l.Vagrant.Provider != "" {
		provider = l.Vagrant.Provider
	}
	box, err := images.Box(ctx, built, kernel, provider, say)
	if err != nil {
		return stopped(ctx, err)
	}
	sum, err := copyBox(out, box)
	if err != nil {
		return usage("cannot write the box: %v", err)
	}
	shown := out
	if !strings.ContainsRune(out, filepath.Separator) {
		shown = "./" + out // without, Vagrant looks for a box of that name on the net
	}
	fmt.Fprintf(w.stdout, `%s
sha256:%s

To use it with Vagrant:

    vagrant box add --name %s-%s %s
`, out, sum, l.Name, m.Name, shown)
	return nil
}

// stopped tells an interruption from a failure.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &exitError{code: runner.ExitInterrupted}
	}
	return err
}

// copyBox writes a box out of the cache, whole or not at all, and returns its SHA-256.
func copyBox(to, from string) (sum string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	f, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, h), in)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), os.Rename(f.Name(), to)
}
