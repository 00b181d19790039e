package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
)

// Say tells people how the making of images goes on.
type Say = func(format string, args ...any)

// Prepared is what a driver has prepared for labs. The zero value has none. Its methods may be called from several
// goroutines.
type Prepared[T any] struct {
	mu sync.Mutex
	of map[*lab.Lab]T
}

// Of returns what was prepared for a lab.
func (p *Prepared[T]) Of(l *lab.Lab) (T, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.of[l]
	if !ok {
		return t, errors.New("the lab is not prepared")
	}
	return t, nil
}

// Once has a lab prepared that is not yet.
func (p *Prepared[T]) Once(l *lab.Lab, prepare func() (T, error)) error {
	if _, err := p.Of(l); err == nil {
		return nil
	}
	t, err := prepare()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = map[*lab.Lab]T{}
	}
	p.of[l] = t
	return nil
}

// EachMachine prepares every machine of a lab, and returns what that gave by the machines' names.
func EachMachine[T any](l *lab.Lab, prepare func(lab.Machine) (T, error)) (map[string]T, error) {
	all := map[string]T{}
	for _, m := range l.Machines {
		t, err := prepare(m)
		if err != nil {
			return nil, fmt.Errorf("cannot prepare machine.%s: %w", m.Name, err)
		}
		all[m.Name] = t
	}
	return all, nil
}

// Images builds the images of labs.
type Images struct {
	Cache *image.Cache
	// Built, where set, is told every image that a lab uses, when it is there.
	Built func(*lab.Lab, image.Built)
}

// Machine builds the image of a machine.
func (i Images) Machine(ctx context.Context, l *lab.Lab, m lab.Machine, say Say) (image.Built, error) {
	return i.build(ctx, l, m.Image, image.Machine, say)
}

// Services builds the images of all stacks of a machine, each once.
func (i Images) Services(ctx context.Context, l *lab.Lab, m lab.Machine, say Say) ([]image.Built, error) {
	var refs []lab.ImageRef
	for _, s := range l.Stacks {
		if s.Machine.Name() != m.Name {
			continue
		}
		for _, ref := range s.Images {
			if !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	var all []image.Built
	for _, ref := range refs {
		b, err := i.build(ctx, l, ref, image.Service, say)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

func (i Images) build(ctx context.Context, l *lab.Lab, ref lab.ImageRef, role image.Role, say Say) (image.Built, error) {
	n := slices.IndexFunc(l.Images, func(img lab.Image) bool { return img.Name == ref.Name() })
	if n < 0 {
		return image.Built{}, fmt.Errorf("there is no %s", ref)
	}
	b, err := i.Cache.Build(ctx, l.Images[n], role, l.Dir, say)
	if err == nil && i.Built != nil {
		i.Built(l, b)
	}
	return b, err
}
