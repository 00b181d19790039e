package vagrant

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/driver/drivertest"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/ledger"
)

// The vagrant driver keeps every promise that the fake keeps.
func TestRealConformance(t *testing.T) {
	l := drivertest.OneMachine()
	if !real(t, l) {
		return
	}
	b := open(t, "conformance", l)
	t.Run("driver", func(t *testing.T) {
		labtest.TestDriver(t, b.Driver, l, lab.Probe{
			Address: "symptom.command.true", Kind: "command", Every: 250 * time.Millisecond, Timeout: 10 * time.Second,
			Settings: []byte(`{"machine":"machine.server","argv":["true"],"exit":0}`),
		})
	})
	t.Run("snapshots", func(t *testing.T) { labtest.TestSnapshots(t, b.Driver, l, false) })
	if err := b.Close(t.Context()); err != nil {
		t.Error(drivertest.Explain(err))
	}
	nothingLeft(t)
}

// Two machines know each other by name, and no way out; they are saved at one moment, and their connection goes on.
func TestRealTwoMachines(t *testing.T) {
	l := drivertest.TwoMachines()
	if !real(t, l) {
		return
	}
	b := open(t, "t-two", l)
	server, client := drivertest.Start(t, b, b.id, l, 0), drivertest.Start(t, b, b.id, l, 1)
	if got := drivertest.Sh(t, server, "", "hostname; cat /proc/1/comm; getent hosts server | cut -d' ' -f1"); !strings.HasPrefix(got, "server\nsystemd\n198.19.") {
		t.Errorf("hostname, PID 1 and address are %q", got)
	}
	reach := "ping -c 1 -W 5 server >/dev/null && echo reached; ip route show default"
	if got := drivertest.Sh(t, client, "", reach); got != "reached" {
		t.Errorf("the client says %q", got)
	}
	if err := b.Save(t.Context(), b.id, l, "two", []lab.Running{server, client}); err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	began := time.Now()
	again, err := b.Restore(t.Context(), b.id, l, "two")
	if err != nil {
		t.Fatal(drivertest.Explain(err))
	}
	t.Logf("both restored in %.1f s", time.Since(began).Seconds())
	if got := drivertest.Sh(t, again[1], "", reach); got != "reached" {
		t.Errorf("after the restore the client says %q", got)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(drivertest.Explain(err))
	}
	nothingLeft(t)
}

// A team's Vagrantfile is used in a copy of its folder; accounts and the agent come beside what it makes.
func TestRealTeamsVagrantfile(t *testing.T) {
	own := drivertest.OneMachine()
	if !real(t, own) {
		return
	}
	home, err := os.MkdirTemp("/var/tmp", "vagrant-home-") // libvirt's QEMU reads the box's kernel there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chmod(home, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VAGRANT_HOME", home)
	o := open(t, "t-own", own)
	p, err := o.prepared.Of(own)
	if err != nil {
		t.Fatal(err)
	}
	file := p.boxes["server"].file
	if out, err := exec.Command("vagrant", "box", "add", "--name", "team", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	l := &lab.Lab{
		Name: "team", Dir: t.TempDir(), Vagrant: &lab.Vagrant{File: "vm/Vagrantfile"},
		Machines: []lab.Machine{{Name: "server", Accounts: []lab.Account{{Name: "alice", Session: lab.SessionLinger}}}},
	}
	vm := filepath.Join(l.Dir, "vm")
	if err := errors.Join(os.MkdirAll(filepath.Join(vm, ".vagrant"), 0o755), os.WriteFile(filepath.Join(vm, "motd"), []byte("from the team\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	const text = `Vagrant.configure("2") do |config|
  config.vm.box = "team"
  config.ssh.insert_key = false
  config.vm.define "server" do |m|
    m.vm.guest = :debian
    m.vm.hostname = "theirs"
    m.vm.provider(:libvirt) { |v| v.memory = 700 }
    m.vm.provision "file", source: "motd", destination: "/tmp/motd"
    m.vm.provision "shell", inline: "useradd --uid 1000 theirs; rm /etc/systemd/system/saigen-agent.service; systemctl daemon-reload"
  end
end
`
	if err := os.WriteFile(filepath.Join(vm, "Vagrantfile"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	b := open(t, "t-team", l)
	m := drivertest.Start(t, b, b.id, l, 0)
	if got := drivertest.Sh(t, m, "alice", "hostname; cat /tmp/motd; id; systemctl show -P FragmentPath saigen-agent.service; awk '/MemTotal/ { print ($2 < 720000) }' /proc/meminfo"); got != "theirs\nfrom the team\nuid=1001(alice) gid=1001(alice) groups=1001(alice)\n/run/systemd/transient/saigen-agent.service\n1" {
		t.Errorf("the machine says %q", got)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(drivertest.Explain(err))
	}
	nothingLeft(t)
	if left, err := filepath.Glob(filepath.Join(vm, ".vagrant", "*")); err != nil || len(left) > 0 {
		t.Errorf("the team's folder has %v, %v", left, err)
	}
}

// A saigen that is killed leaves what the next one finds and removes: at any moment of Vagrant's work, and when it is up.
func TestRealKilledRunIsCollected(t *testing.T) {
	if !real(t, drivertest.OneMachine()) {
		return
	}
	for _, moment := range []time.Duration{300 * time.Millisecond, 1500 * time.Millisecond, 6 * time.Second, 0} { // 0: when it is up
		t.Run(moment.String(), func(t *testing.T) { killed(t, moment) })
	}
}

func killed(t *testing.T, moment time.Duration) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SAIGEN_TEST_ABANDON="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	runs := filepath.Join(dir, "runs")
	if moment > 0 {
		<-time.After(moment)
	} else {
		line := make([]byte, 4096)
		n, err := out.Read(line)
		if got := string(line[:n]); got != "up\n" {
			t.Errorf("the process to be killed says %q, %v", got, err)
		}
		m, err := Connect(t.Context(), filepath.Join(dir, "r", "t-killed"), "server")
		if err != nil {
			t.Fatal(drivertest.Explain(err))
		}
		if got := drivertest.Sh(t, m, "alice", "id -un"); got != "alice" {
			t.Errorf("alice is %q", got)
		}
		if err := m.Destroy(t.Context()); !errors.Is(err, errNotOurs) {
			t.Errorf("another process's machine is destroyed: %v", err)
		}
		if dead, err := ledger.Dead(runs); err != nil || len(dead) != 0 {
			t.Errorf("a living run is dead: %v, %v", dead, err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	t.Logf("libvirt has %q", libvirtHas(t))
	dead, err := ledger.Dead(runs)
	if err != nil || (moment == 0 && len(dead) != 1) {
		t.Fatalf("dead are %v, %v", dead, err)
	}
	began := time.Now()
	if err := ledger.Collect(t.Context(), dead, Undoers()...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d dead, collected in %.2f s", len(dead), time.Since(began).Seconds())
	if _, err := SweepAsked(); err != nil { // it may have been killed while it asked
		t.Error(err)
	}
	nothingLeft(t)
	if left, err := filepath.Glob(filepath.Join(runs, "*", "vagrant")); err != nil || len(left) > 0 {
		t.Errorf("folders are left: %v, %v", left, err)
	}
	if out, err := exec.Command("pgrep", "-af", "vagrant").Output(); err == nil {
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "ruby") {
				t.Errorf("Vagrant still runs: %s", line)
			}
		}
	}
}
