package container

import (
	"slices"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

func TestContainersConf(t *testing.T) {
	normal := engineConfig{Dir: "/s", Limits: limits{Controllers: []string{"cpu", "memory", "pids"}}}
	const same = `[containers]
pids_limit = 0
cgroupns = "private"
base_hosts_file = "none"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
tmp_dir = "/s/tmp"

[network]
network_backend = "netavark"
network_config_dir = "/s/networks"
`
	if got := renderContainersConf(normal); got != same {
		t.Errorf("on a normal host:\n%s", got)
	}
	restricted := normal
	restricted.Limits = limits{Files: 20000, Processes: 32768, Controllers: []string{"hugetlb"}}
	want := strings.Replace(same, "[containers]\n", "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=32768:32768\"]\n", 1)
	if got := renderContainersConf(restricted); got != want {
		t.Errorf("on a restricted host:\n%s", got)
	}
}

func TestStorageConf(t *testing.T) {
	got := renderStorageConf(engineConfig{Dir: "/s", Stores: []string{"/c/one", "/c/two"}})
	want := `[storage]
driver = "overlay"
runroot = "/s/run"
graphroot = "/s/root"

[storage.options]
additionalimagestores = ["/c/one", "/c/two"]
`
	if got != want {
		t.Errorf("storage.conf is\n%s", got)
	}
}

// A machine on a normal host is an unchanged Debian.
func TestMachineConf(t *testing.T) {
	if got := renderMachineConf(limits{Controllers: []string{"pids"}}); got != "" {
		t.Errorf("on a normal host:\n%s", got)
	}
	if got := renderMachineConf(limits{Controllers: []string{"hugetlb"}}); !strings.Contains(got, "\npids_limit = 0\n") {
		t.Errorf("without the controller:\n%s", got)
	}
}

func TestLimitsOfThisProcess(t *testing.T) {
	l, err := readLimits([]string{"cpu"})
	if err != nil {
		t.Fatal(err)
	}
	raise, err := mayRaiseLimits()
	if err != nil {
		t.Fatal(err)
	}
	if raise != (l.Files == 0) || raise != (l.Processes == 0) {
		t.Errorf("limits may be raised: %v, and are %+v", raise, l)
	}
	if !l.has("cpu") || l.has("pids") {
		t.Errorf("the controllers are %v", l.Controllers)
	}
}

func TestNetwork(t *testing.T) {
	l := &lab.Lab{Machines: []lab.Machine{{Name: "server"}, {Name: "client"}}}
	n := &network{subnet: subnetOf("r1", false)}
	if got, want := n.hosts(l), []string{"server:198.18.0.11", "client:198.18.0.12"}; !slices.Equal(got, want) {
		t.Errorf("hosts are %v", got)
	}
	a, b := subnetOf("r1", true), subnetOf("r2", true)
	if a == b || a.Bits() != 24 || !strings.HasPrefix(a.String(), "198.1") {
		t.Errorf("shared subnets are %v and %v", a, b)
	}
}

func TestEngineMainRefusesToRunOutsideItsNamespace(t *testing.T) {
	for _, args := range [][]string{nil, {"x"}, {"x", "y"}} {
		if got := EngineMain(args); got != 2 {
			t.Errorf("EngineMain(%q) is %d", args, got)
		}
	}
}

// Trials side by side have ids that end in a number, and so have the engines of one.
func TestCgroupNames(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []lab.RunID{"r", "r-2", "r-control", "r-2-control"} {
		for _, engine := range []string{"engine", "engine-2", "engine-3"} {
			name := cgroupName(id, engine)
			if seen[name] {
				t.Errorf("%s of %s has the name of another one: %s", engine, id, name)
			}
			seen[name] = true
		}
	}
}
