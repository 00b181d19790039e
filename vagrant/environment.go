package vagrant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// environment is what Vagrant calls one: a folder with a Vagrantfile. It holds the machines of one lab in one run. Its exported
// fields are all that another process needs to undo it.
type environment struct {
	Dir      string        `json:"dir"`
	Name     string        `json:"name"`     // saigen-RUN-N: what carries it outside of Dir belongs to this environment
	Provider string        `json:"provider"` // as Vagrant names it
	Machines []string      `json:"machines"` // in the lab's order
	Foreign  bool          `json:"foreign"`  // the Vagrantfile is a team's
	Subnet   netip.Prefix  `json:"subnet"`
	Libvirt  *libvirtState `json:"libvirt,omitempty"`

	provider provider
	log      *os.File

	mu    sync.Mutex // held while the environment is made, and by every vagrant that changes it
	made  bool
	saved map[string]bool   // the keys of the snapshots that its machines have
	ssh   map[string]string // what `vagrant ssh-config` says, by machine
	alive map[string]bool   // machines that a caller has and has not destroyed
}

// The files of an environment, inside its folder.
const (
	stateName = "environment.json"
	logName   = "vagrant.log"
)

func (e *environment) state() string   { return filepath.Join(e.Dir, stateName) }
func (e *environment) home() string    { return filepath.Join(e.Dir, "home") }
func (e *environment) dotfile() string { return filepath.Join(e.Dir, "state") }

// root is the folder of the Vagrantfile. vagrant-libvirt names domains after it when nobody says otherwise.
func (e *environment) root() string { return filepath.Join(e.Dir, e.Name) }

// save writes environment.json, whole or not at all.
func (e *environment) save() error {
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", e.state(), err)
	}
	if err := os.WriteFile(e.state()+".new", append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot write %s: %w", e.state(), err)
	}
	return os.Rename(e.state()+".new", e.state())
}

// load reads an environment that another process made; nil: there is none.
func load(dir string) (*environment, error) {
	data, err := os.ReadFile(filepath.Join(dir, stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the environment: %w", err)
	}
	var e environment
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("cannot read the environment %s: %w", dir, err)
	}
	e.provider = providerNamed(e.Provider)
	return &e, nil
}

// address is the machine's on the network that the lab's machines share: the lab's first has .11.
func (e *environment) address(i int) netip.Addr {
	a := e.Subnet.Addr().As4()
	a[3] = byte(11 + i)
	return netip.AddrFrom4(a)
}

// maxMachines is how many addresses there are.
const maxMachines = 200

// hosts is /etc/hosts of every machine: names hold before a machine is up and after it is gone.
func (e *environment) hosts(self string) string {
	var b strings.Builder
	b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	if len(e.Machines) == 1 {
		fmt.Fprintf(&b, "127.0.0.1\t%s\n", self)
		return b.String()
	}
	for i, name := range e.Machines {
		fmt.Fprintf(&b, "%s\t%s\n", e.address(i), name)
	}
	return b.String()
}

// vagrant runs Vagrant in the environment and returns what it printed to its standard output.
func (e *environment) vagrant(ctx context.Context, args ...string) (string, error) {
	t := tool{argv: append([]string{"vagrant"}, args...), dir: e.root(), env: e.env()}
	if e.log != nil {
		fmt.Fprintf(e.log, "$ vagrant %s\n", strings.Join(args, " "))
		t.log = e.log
	}
	out, err := t.run(ctx)
	return string(out), err
}

// env keeps Vagrant to this environment's folders, and from asking anybody for news.
func (e *environment) env() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "VAGRANT_") })
	return append(env,
		"LC_ALL=C.UTF-8",
		"VAGRANT_HOME="+e.home(),
		"VAGRANT_CWD="+e.root(),
		"VAGRANT_DOTFILE_PATH="+e.dotfile(),
		"VAGRANT_CHECKPOINT_DISABLE=1",
		"VAGRANT_BOX_UPDATE_CHECK_DISABLE=1",
		"VAGRANT_NO_COLOR=1",
		"VAGRANT_IGNORE_WINRM_PLUGIN=1",
	)
}

// gone asks Vagrant whether the machine is not there.
func (e *environment) gone(ctx context.Context, machine string) error {
	out, err := e.vagrant(ctx, "status", "--machine-readable", machine)
	if err != nil {
		return err
	}
	if state := machineState(out, machine); state != "not_created" {
		return fmt.Errorf("machine.%s is still there: Vagrant says %q", machine, state)
	}
	return nil
}

// machineState finds a machine's state in what `vagrant status --machine-readable` prints: lines of time, target, type and
// data, separated by commas.
func machineState(out, machine string) string {
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimRight(line, "\n"), ",", 4)
		if len(f) == 4 && f[1] == machine && f[2] == "state" {
			return f[3]
		}
	}
	return ""
}

// machineDir is where Vagrant keeps what it knows of a machine; it is there as soon as the machine may be.
func (e *environment) machineDir(machine string) string {
	return filepath.Join(e.dotfile(), "machines", machine, e.Provider)
}

// destroy removes one machine: through Vagrant, and then what Vagrant did not know of.
func (e *environment) destroy(ctx context.Context, machine string) error {
	var asked error
	if _, err := os.Stat(e.machineDir(machine)); err == nil {
		_, asked = e.vagrant(ctx, "destroy", "--force", machine)
	}
	if err := e.provider.remove(ctx, e, machine); err != nil {
		return errors.Join(asked, err)
	}
	return nil // whatever Vagrant complained about: nothing is left
}

// removeAll removes all that the environment has outside of its folder. Vagrant, which takes seconds, is asked only where it
// may know of more than the provider finds by itself.
func (e *environment) removeAll(ctx context.Context) error {
	var asked error
	machines, err := filepath.Glob(filepath.Join(e.dotfile(), "machines", "*", "*", "id"))
	if err == nil && len(machines) > 0 && (e.Foreign || !e.provider.findsAll()) {
		_, asked = e.vagrant(ctx, "destroy", "--force")
	}
	if err := e.provider.close(ctx, e); err != nil {
		return errors.Join(asked, err)
	}
	return nil
}

// usersHome is where the user's own Vagrant keeps its things.
func usersHome() (string, error) {
	if dir := os.Getenv("VAGRANT_HOME"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".vagrant.d"), err
}

// shareBoxes has a team's Vagrantfile find the boxes that the user has, and keeps those that it fetches for the next time.
func (e *environment) shareBoxes() error {
	users, err := usersHome()
	if err != nil {
		return err
	}
	boxes := filepath.Join(users, "boxes")
	if err := os.MkdirAll(boxes, 0o755); err != nil {
		return fmt.Errorf("cannot use the user's boxes: %w", err)
	}
	return os.Symlink(boxes, filepath.Join(e.home(), "boxes"))
}

// plugins has Vagrant find the plugins that the user has installed. Those of a distribution's package it finds by itself.
func (e *environment) plugins() error {
	users, err := usersHome()
	if err != nil {
		return nil // without a home there are none
	}
	list, err := os.ReadFile(filepath.Join(users, "plugins.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the list of Vagrant's plugins: %w", err)
	}
	if err := os.WriteFile(filepath.Join(e.home(), "plugins.json"), list, 0o600); err != nil {
		return fmt.Errorf("cannot copy the list of Vagrant's plugins: %w", err)
	}
	return os.Symlink(filepath.Join(users, "gems"), filepath.Join(e.home(), "gems"))
}
