package container

import (
	"fmt"
	"path/filepath"
	"strings"
)

// engineConfig is what the host side tells the engine's first process, as JSON in a file.
type engineConfig struct {
	Dir     string   `json:"dir"`     // the engine's folder: storage, configuration
	Runtime string   `json:"runtime"` // the run's runtime folder, kept visible
	Socket  string   `json:"socket"`  // in Runtime
	Cgroup  string   `json:"cgroup"`  // below the root of the host's hierarchy
	Stores  []string `json:"stores"`  // machine image stores
	Limits  limits   `json:"limits"`
}

// The engine's files, inside its folder.
func (c engineConfig) containersConf() string { return filepath.Join(c.Dir, "containers.conf") }
func (c engineConfig) storageConf() string    { return filepath.Join(c.Dir, "storage.conf") }
func (c engineConfig) graphRoot() string      { return filepath.Join(c.Dir, "root") }
func (c engineConfig) runRoot() string        { return filepath.Join(c.Dir, "run") }
func (c engineConfig) tmp() string            { return filepath.Join(c.Dir, "tmp") }
func (c engineConfig) networks() string       { return filepath.Join(c.Dir, "networks") }

// folders are those that must exist before podman starts.
func (c engineConfig) folders() []string {
	return []string{c.Dir, c.graphRoot(), c.runRoot(), c.tmp(), c.networks()}
}

// renderContainersConf writes the outer engine's containers.conf. runc, because crun needs limits raised for its device
// filter; soft and hard limit the same, because podman 4.3.1 refuses others that come through its Docker API.
func renderContainersConf(c engineConfig) string {
	var b strings.Builder
	b.WriteString("[containers]\n")
	if c.Limits.Files > 0 {
		fmt.Fprintf(&b, "default_ulimits = [\"nofile=%d:%d\", \"nproc=%d:%d\"]\n",
			c.Limits.Files, c.Limits.Files, c.Limits.Processes, c.Limits.Processes)
	}
	b.WriteString("pids_limit = 0\n") // a machine limits itself
	b.WriteString("cgroupns = \"private\"\nbase_hosts_file = \"none\"\n")
	b.WriteString("\n[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nruntime = \"runc\"\n")
	fmt.Fprintf(&b, "tmp_dir = %q\n", c.tmp())
	fmt.Fprintf(&b, "\n[network]\nnetwork_backend = \"netavark\"\nnetwork_config_dir = %q\n", c.networks())
	return b.String()
}

// renderStorageConf writes the engine's storage.conf. The roots must be here and not on podman's command line, where
// they would make it forget the additional image stores.
func renderStorageConf(c engineConfig) string {
	stores := make([]string, len(c.Stores))
	for i, s := range c.Stores {
		stores[i] = fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("[storage]\ndriver = \"overlay\"\nrunroot = %q\ngraphroot = %q\n\n[storage.options]\nadditionalimagestores = [%s]\n",
		c.runRoot(), c.graphRoot(), strings.Join(stores, ", "))
}

// renderMachineConf writes the containers.conf.d file of a machine, for the podmans inside it. It is empty where the
// host restricts nothing: a machine there is an unchanged Debian.
func renderMachineConf(l limits) string {
	if l.has("pids") {
		return ""
	}
	return "# saigen: this host gives no pids controller, so no container can have a pids limit\n[containers]\npids_limit = 0\n"
}
