package image

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/saigen-lab/saigen/lab"
)

// LockName is the file in the lab's folder that records what went into its images. It belongs into version control.
const LockName = "lab.lock.json"

// Lock is what went into a lab's images when they were last found good.
type Lock struct {
	Images []Locked `json:"images"`
}

// Locked is one image of the lock. A lab whose variants declare an image in several ways has one for each.
type Locked struct {
	Image    string            `json:"image"`
	Debian   string            `json:"debian,omitempty"`
	Snapshot string            `json:"snapshot,omitempty"`
	Asked    []string          `json:"asked,omitempty"` // packages that the lab names, sorted
	Go       lab.Path          `json:"go,omitempty"`
	Modules  map[string]string `json:"modules,omitempty"`
	NPM      lab.Path          `json:"npm,omitempty"`
	Role     Role              `json:"role"`
	Arch     string            `json:"arch"`
	Packages map[string]string `json:"packages"` // name to version
}

// declared is what the lab says of the image.
func declared(img lab.Image) Locked {
	return Locked{Image: img.Name, Debian: img.Debian, Snapshot: img.Snapshot, Asked: slices.Sorted(slices.Values(img.Packages)), Go: img.Go, Modules: img.Modules, NPM: img.NPM}
}

func (l Locked) compareDeclared(o Locked) int {
	return cmp.Or(
		cmp.Compare(l.Image, o.Image), cmp.Compare(l.Debian, o.Debian), cmp.Compare(l.Snapshot, o.Snapshot), cmp.Compare(l.Go, o.Go),
		cmp.Compare(l.NPM, o.NPM), slices.Compare(pairs(l.Modules), pairs(o.Modules)), slices.Compare(l.Asked, o.Asked),
	)
}

func (l Locked) compare(o Locked) int {
	return cmp.Or(l.compareDeclared(o), cmp.Compare(l.Role, o.Role), cmp.Compare(l.Arch, o.Arch))
}

// pairs are a map's entries in order.
func pairs(m map[string]string) []string {
	var all []string
	for name, value := range m {
		all = append(all, name+" "+value)
	}
	slices.Sort(all)
	return all
}

func locked(b Built) Locked {
	in := declared(b.Image)
	in.Role, in.Arch, in.Packages = b.Role, runtime.GOARCH, make(map[string]string, len(b.Packages))
	for _, p := range b.Packages {
		in.Packages[p.lockName()] = p.Version
	}
	return in
}

// lockName tells packages of one name apart: Debian and npm each have a "tar".
func (p Package) lockName() string {
	if p.From == "" || p.From == fromGo { // a module's path is like no other name
		return p.Name
	}
	return p.From + ":" + p.Name
}

// Drift is one package that differs from the lock.
type Drift struct {
	Image   string
	Package string
	Locked  string // version; empty: the lock does not have the package
	Found   string // version; empty: the image does not have the package
}

func (d Drift) String() string {
	switch {
	case d.Locked == "":
		return fmt.Sprintf("%s: not in the lock → %s", d.Package, d.Found)
	case d.Found == "":
		return fmt.Sprintf("%s %s → gone", d.Package, d.Locked)
	}
	return fmt.Sprintf("%s %s → %s", d.Package, d.Locked, d.Found)
}

// ReadLock reads the lock of the lab in dir. A lab without one has an empty lock.
func ReadLock(dir string) (*Lock, error) {
	name := filepath.Join(dir, LockName)
	data, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return &Lock{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the lock: %v", err)
	}
	l := &Lock{}
	if err := json.Unmarshal(data, l); err != nil {
		return nil, fmt.Errorf("cannot read the lock %s: %v; remove it, and the next run writes a new one", name, err)
	}
	slices.SortFunc(l.Images, Locked.compare)
	return l, nil
}

func (l *Lock) find(in Locked) (int, bool) {
	return slices.BinarySearchFunc(l.Images, in, Locked.compare)
}

// Has says whether the lock knows the image, as the lab declares it, in its role and of its architecture.
func (l *Lock) Has(b Built) bool {
	_, ok := l.find(locked(b))
	return ok
}

// Drift returns where the image differs from the lock, by package name. An image that the lock does not know has no drift.
func (l *Lock) Drift(b Built) []Drift {
	now := locked(b)
	at, ok := l.find(now)
	if !ok {
		return nil
	}
	was := l.Images[at].Packages
	var all []Drift
	for name, found := range now.Packages {
		if was[name] != found {
			all = append(all, Drift{b.Image.Name, name, was[name], found})
		}
	}
	for name, version := range was {
		if _, ok := now.Packages[name]; !ok {
			all = append(all, Drift{b.Image.Name, name, version, ""})
		}
	}
	slices.SortFunc(all, func(a, b Drift) int { return cmp.Compare(a.Package, b.Package) })
	return all
}

// Update puts the image into the lock, and says whether that changed it. An OCI image is not locked: its digest is in
// the lab file.
func (l *Lock) Update(b Built) bool {
	if b.Image.OCI != "" {
		return false
	}
	now := locked(b)
	at, ok := l.find(now)
	if !ok {
		l.Images = slices.Insert(l.Images, at, now)
		return true
	}
	changed := len(l.Drift(b)) > 0
	l.Images[at] = now
	return changed
}

// Keep drops the images that no variant of the lab declares any more, and says whether there were any.
func (l *Lock) Keep(images []lab.Image) bool {
	before := len(l.Images)
	l.Images = slices.DeleteFunc(l.Images, func(in Locked) bool {
		return !slices.ContainsFunc(images, func(img lab.Image) bool { return declared(img).compareDeclared(in) == 0 })
	})
	return len(l.Images) != before
}

// Packages returns what is in an image, name to version; nil when the lock does not know it.
func (l *Lock) Packages(img lab.Image) map[string]string {
	for _, in := range l.Images {
		if declared(img).compareDeclared(in) == 0 {
			return in.Packages
		}
	}
	return nil
}

// Write writes the lock into the lab's folder, whole or not at all: sorted, one package a line. Of several processes only one may do so at a time.
func (l *Lock) Write(dir string) error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, LockName)
	half := filepath.Join(dir, "."+LockName+".new") // one name: the next one removes what a killed one has left
	f, err := os.OpenFile(half, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot write the lock: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(half, name)
	}
	if err != nil {
		return fmt.Errorf("cannot write the lock: %w", errors.Join(err, os.Remove(half)))
	}
	return nil
}
