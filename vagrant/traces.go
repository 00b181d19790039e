package vagrant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Trace is something in libvirt that has the name of an environment of saigen's.
type Trace struct {
	What, Name string
	Fix        string // the command that removes it
}

// namePrefix is what the names of all environments begin with.
const namePrefix = "saigen-"

// Traces lists what libvirt has of saigen's, whichever run made it. Without libvirt there is nothing.
func Traces(ctx context.Context) ([]Trace, error) {
	if _, err := exec.LookPath("virsh"); err != nil {
		return nil, nil
	}
	uri := libvirtURI()
	if uri == defaultURI && !listens("/run/libvirt") {
		return defined("/etc/libvirt"), nil
	}
	return tracesIn(ctx, uri, func(name string) bool { return strings.HasPrefix(name, namePrefix) })
}

// listens says whether a libvirt has its socket, which is there also where systemd would start it: of the one daemon, or of
// the one for QEMU where there are several. See the files section of libvirtd(8) and virtqemud(8).
func listens(run string) bool {
	for _, name := range []string{"libvirt-sock", "virtqemud-sock"} {
		if _, err := os.Stat(filepath.Join(run, name)); err == nil {
			return true
		}
	}
	return false
}

// defined lists what a libvirt that does not run would know when it did: it keeps a file for each thing, below etc. Nothing
// of that runs; a QEMU that outlived its libvirt is a process, and found as one.
func defined(etc string) []Trace {
	var all []Trace
	for _, kind := range []struct{ folder, what string }{{"qemu", "domain"}, {"qemu/networks", "network"}, {"storage", "storage pool"}} {
		files, _ := filepath.Glob(filepath.Join(etc, kind.folder, namePrefix+"*.xml"))
		for _, file := range files {
			all = append(all, Trace{kind.what, strings.TrimSuffix(filepath.Base(file), ".xml"), "rm " + file})
		}
	}
	return all
}

// tracesIn lists the domains, networks and storage pools whose name passes.
func tracesIn(ctx context.Context, uri string, which func(name string) bool) ([]Trace, error) {
	var all []Trace
	for _, kind := range []struct{ verb, what, stop, remove string }{
		{"list", "domain", "destroy", "undefine --managed-save --snapshots-metadata --checkpoints-metadata"},
		{"net-list", "network", "net-destroy", "net-undefine"},
		{"pool-list", "storage pool", "pool-destroy", "pool-undefine"},
	} {
		found, err := names(ctx, uri, kind.verb)
		if err != nil {
			return nil, fmt.Errorf("cannot look at libvirt %s: %w", uri, err)
		}
		for _, name := range found {
			if !which(name) {
				continue
			}
			virsh := "virsh -c " + uri + " "
			fix := virsh + kind.stop + " " + name + "; " + virsh + kind.remove + " " + name
			if kind.verb == "pool-list" {
				fix += "; rm -rf /var/lib/libvirt/images/" + name
			}
			all = append(all, Trace{kind.what, name, fix})
		}
	}
	return all, nil
}

// verifyGone says what libvirt still has of an environment.
func verifyGone(ctx context.Context, e *environment) error {
	left, err := tracesIn(ctx, e.Libvirt.URI, func(name string) bool { return name == e.Name || strings.HasPrefix(name, e.Name+"_") })
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range left {
		errs = append(errs, fmt.Errorf("libvirt still has the %s %s; remove it with: %s", t.What, t.Name, t.Fix))
	}
	return errors.Join(errs...)
}
