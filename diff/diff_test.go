package diff

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

var (
	alice = Who{Name: "alice", UID: "1000", GID: "1000", Home: "/home/alice"}
	bob   = Who{Name: "bob", UID: "1001", GID: "1001", Home: "/home/bob"}
)

func text(all []Difference) string {
	side := func(v *string) string {
		if v == nil {
			return "-"
		}
		return *v
	}
	var lines []string
	for _, d := range all {
		lines = append(lines, d.Topic+": "+d.Name+": "+side(d.A)+" / "+side(d.B))
	}
	return strings.Join(lines, "\n")
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []Fact
		want string
	}{
		{"nothing", nil, nil, ""},
		{"own names, homes and numbers", []Fact{{"env", "HOME", "/home/alice"}, {"env", "BUS", "unix:path=/run/user/1000/bus"}, {"dns", "alice_default", "1"}},
			[]Fact{{"env", "HOME", "/home/bob"}, {"env", "BUS", "unix:path=/run/user/1001/bus"}, {"dns", "bob_default", "1"}}, ""},
		{"ids", []Fact{{"p", "conmon " + strings.Repeat("a", 64), "x"}, {"p", "run-r9cdbdd902a9d4d51b17b8ef918c975c3.scope", "x"}, {"p", "podman-1126.scope", "x"}},
			[]Fact{{"p", "conmon " + strings.Repeat("b", 64), "x"}, {"p", "run-r2d9b3937327e46de86c40d4f3464c5e0.scope", "x"}, {"p", "podman-8.scope", "x"}}, ""},
		{"a name that is a word of both", []Fact{{"c", "container bob", "Up"}}, []Fact{{"c", "container bob", "Up"}}, ""},
		{"a name in another word", []Fact{{"c", "x", "malice"}}, []Fact{{"c", "x", "bob"}}, "c: x: malice / bob"},
		{"the other's home", []Fact{{"c", "root", "/home/bob/x"}}, []Fact{{"c", "root", "/home/bob/x"}}, ""},
		{"somebody else's home", []Fact{{"c", "root", "/home/alice/x"}}, []Fact{{"c", "root", "/home/carol/x"}}, "c: root: /home/alice/x / /home/carol/x"},
		{"twice on one side", []Fact{{"p", "n", "1"}, {"p", "n", "1"}}, []Fact{{"p", "n", "1"}}, "p: n: 1 / -"},
		{"empty is not missing", []Fact{{"e", "X", ""}}, nil, "e: X:  / -"},
		{"topics of b in their place", []Fact{{"1", "x", "a"}, {"3", "x", "a"}}, []Fact{{"1", "x", "b"}, {"2", "x", "b"}, {"3", "x", "b"}},
			"1: x: a / b\n2: x: - / b\n3: x: a / b"},
	} {
		if got := text(Compare(c.a, c.b, alice.Alike, bob.Alike)); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestMask(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"PATH=/usr/bin", "PATH=/usr/bin"},
		{"DB_PASSWORD=hunter2 next", "DB_PASSWORD=(hidden) next"},
		{`{"api_key": "abc def", "name": "x"}`, `{"api_key": "(hidden)", "name": "x"}`},
		{"GET /?token=abc&x=1 200", "GET /?token=(hidden)&x=1 200"},
		{"https://u:p4ss@example.org/a and postgres://app:s@db/x", "https://u:(hidden)@example.org/a and postgres://app:(hidden)@db/x"},
		{"Authorization: Bearer abc.def", "Authorization: Bearer (hidden)"},
		{"Set-Cookie: sid=1; Path=/", "Set-Cookie: (hidden); Path=/"},
		{"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nnext", "(hidden)\nnext"},
		{"password:", "password:"},
		{"http://localhost:4430/", "http://localhost:4430/"},
	} {
		if got := Mask(c.text); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
	for name, want := range map[string]bool{"DB_PASS": true, "MYSQL_PASSWORD": true, "GITHUB_TOKEN": true, "AWS_SECRET_ACCESS_KEY": true, "SSH_AUTH_SOCK": false, "HOME": false} {
		if Secret(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// answers is a fake machine that answers as real ones of bookworm have: by the command, and by who it is about or who runs it.
func answers(change map[string]string) *labtest.Driver {
	id := strings.Repeat("0a", 32)
	say := map[string]string{
		"alice getent": "alice:x:1000:1000::/home/alice:/bin/bash\n", "bob getent": "bob:x:1001:1001::/home/bob:/bin/bash\n",
		"loginctl":           "State=lingering\nSessions=\n",
		"systemctl show":     "ActiveState=active\nSubState=running\nResult=success\n",
		"systemctl --user i": "running\n",
		"systemctl --user l": "dbus.service loaded active running D-Bus User Message Bus\nsaigen-linger-alice-w64tau.service loaded active running saigen holder\n",
		"ps": "    0       1 Ss   systemd         9:x:/,0::/init.scope\n" +
			" 1000      90 Ss   systemd         0::/user.slice/user-1000.slice/user@1000.service/init.scope\n" +
			" 1000     124 Ssl  saigen          0::/user.slice/user-1000.slice/user@1000.service/app.slice/saigen-linger-alice-w64tau.service\n" +
			" 1000     174 S    podman pause    0::/user.slice/user-1000.slice/user@1000.service/user.slice/podman-pause-bcbd4a53.scope\n" +
			" 1001      93 Ss   systemd         0::/user.slice/user-1001.slice/user@1001.service/init.scope\n" +
			" 1001     191 S    podman pause    0::/user.slice/user-1001.slice/user@1001.service/user.slice/podman-pause-ce6d9e82.scope\n",
		"alice aardvark": "/run/user/1000/containers/networks/aardvark-dns/aardvark.pid:384\n" +
			"/run/user/1000/containers/networks/aardvark-dns/alice_default:10.89.0.1\n" +
			"/run/user/1000/containers/networks/aardvark-dns/alice_default:" + id + " 10.89.0.7  app,app,0a0a0a0a0a0a\n",
		"bob aardvark": "/run/user/1001/containers/networks/aardvark-dns/bob_default:10.89.0.1\n" +
			"/run/user/1001/containers/networks/aardvark-dns/bob_default:" + id + " 10.89.0.2  app,app,0a0a0a0a0a0a\n",
		"alice config": "/home/alice/.config/containers/storage.conf:[storage]\n/home/alice/.config/containers/storage.conf:driver = \"overlay\"\n" +
			"/home/alice/.config/containers/auth.conf:registry_token = abc\n",
		"bob config": "/home/bob/.config/containers/storage.conf:[storage]\n/home/bob/.config/containers/storage.conf:driver = \"overlay\"\n" +
			"/home/bob/.config/containers/auth.conf:registry_token = xyz\n",
		"alice subid": "/etc/subuid:alice:100000:65536\n/etc/subgid:alice:100000:65536\n",
		"bob subid":   "/etc/subuid:bob:165536:65536\n/etc/subgid:bob:165536:65536\n",
		"alice env":   "HOME=/home/alice\x00MANAGERPID=90\x00XDG_RUNTIME_DIR=/run/user/1000\x00API_TOKEN=abc\x00",
		"bob env":     "HOME=/home/bob\x00MANAGERPID=93\x00XDG_RUNTIME_DIR=/run/user/1001\x00API_TOKEN=xyz\x00",
		"limits":      "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 20000                files     \n",
		"find":        "d containers\nd containers/networks\nf containers/networks/ipam.db\ns bus\nf systemd/units/invocation:x\n",
		"ss":          "tcp LISTEN 0      4096   *:4430 *:* users:((\"rootlessport\",pid=174,fd=10))\ntcp LISTEN 0      4096   *:4431 *:* users:((\"rootlessport\",pid=191,fd=11))\n",
		"podman info": `{"host":{"cgroupManager":"systemd","memFree":1,"idMappings":{"uidmap":[{"host_id":1}]}},"store":{"graphDriverName":"overlay","graphRoot":"HOME/x"}}`,
		"podman ps":   "app\tUp 2 minutes ago\tlocalhost/app:latest\n",
	}
	for k, v := range change {
		say[k] = v
	}
	return &labtest.Driver{Handler: func(_ context.Context, cmd lab.Command) (lab.Result, error) {
		line := strings.Join(cmd.Argv, " ")
		who := cmd.Account
		if strings.Contains(line, "bob") || strings.Contains(line, "1001") || strings.Contains(line, "show-session") {
			who = "bob"
		} else if who == "" {
			who = "alice"
		}
		word := cmd.Argv[0]
		switch {
		case strings.Contains(line, "aardvark-dns"):
			word = "aardvark"
		case word == "grep" && strings.Contains(line, "/etc/subuid"):
			word = "subid"
		case word == "grep":
			word = "config"
		case strings.HasSuffix(line, "/limits"):
			word = "limits"
		case word == "systemctl" && cmd.Argv[1] == "--user":
			word = "systemctl --user " + cmd.Argv[2][:1]
		case word == "systemctl", word == "podman":
			word += " " + cmd.Argv[1]
		}
		out, ok := say[who+" "+word]
		if !ok {
			out = say[word]
		}
		if code, ok := strings.CutPrefix(out, "fails: "); ok {
			return lab.Result{Code: 1, Stderr: []byte(code)}, nil
		}
		return lab.Result{Stdout: []byte(out)}, nil
	}}
}

func started(t *testing.T, d *labtest.Driver) lab.Running {
	t.Helper()
	l := &lab.Lab{Machines: []lab.Machine{{Name: "m", Accounts: []lab.Account{{Name: "alice"}, {Name: "bob"}}}}}
	if err := d.Prepare(t.Context(), l, func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	m, err := d.Start(t.Context(), "r", l, l.Machines[0])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Two accounts that differ in nothing but what every account has of its own do not differ but in their ports, and
// whatever else is different is told first.
func TestAccounts(t *testing.T) {
	const ports = "\nports: tcp 4430: rootlessport / -\nports: tcp 4431: - / rootlessport"
	orphans := " 1000 90 Ss systemd 0::/user.slice/user-1000.slice/user@1000.service/init.scope\n 1001 8 S conmon 0::/user.slice/user-1001.slice/session-4.scope\n 1001 9 Z app 0::/system.slice/x.service\n"
	for _, c := range []struct {
		name   string
		change map[string]string
		want   string
	}{
		{"nothing", nil, ports[1:]},
		{"linger", map[string]string{"bob test": "fails: "}, "session: linger: yes / no\nsession: runtime folder: there / missing\nsession: user bus: there / missing\nsession: socket of the user manager: there / missing" + ports},
		{"not logged in", map[string]string{"bob loginctl": "fails: User ID 1001 is not logged in or lingering"}, "session: logind: lingering / not logged in, and not lingering" + ports},
		{"a login", map[string]string{"bob loginctl": "State=active\nSessions=4\nType=tty\nService=sshd\nClass=user\n", "ps": orphans},
			"session: logind: lingering / active\nsession: login tty by sshd, class user, active: - / there\norphans: zombie of app outside the account's slice, in /system.slice/x.service: - / there\n" +
				"processes: systemd under the user manager: there / -\nprocesses: conmon in a login session: - / there"},
		{"failed manager", map[string]string{"bob systemctl show": "ActiveState=failed\nSubState=failed\nResult=signal\n"}, "session: user manager: active (running) / failed (failed), signal" + ports},
		{"bus", map[string]string{"bob busctl": "fails: Connection refused"}, "session: user bus answers: yes / Connection refused" + ports},
		{"orphans", map[string]string{"ps": orphans, "ss": ""}, "orphans: conmon in a login session that has ended: - / there\norphans: zombie of app outside the account's slice, in /system.slice/x.service: - / there\nprocesses: systemd under the user manager: there / -"},
		{"stale dns", map[string]string{"alice aardvark": strings.Repeat("/x/alice_default:"+strings.Repeat("0", 64)+" 10.89.0.4  app,app,0\n", 4)}, "container dns: alice_default: app: 4 addresses / 1 address" + ports},
		{"storage", map[string]string{"bob config": "", "bob podman info": `{"host":{"cgroupManager":"systemd"},"store":{"graphDriverName":"vfs","graphRoot":"HOME/x"}}`},
			"configuration: ~/.config/containers/auth.conf registry_token: (hidden) / -\nconfiguration: ~/.config/containers/storage.conf [storage] driver: \"overlay\" / -\npodman: store.graphDriverName: overlay / vfs" + ports},
		{"no subordinate ids", map[string]string{"bob subid": ""}, "configuration: /etc/subuid: 65536 ids / no range\nconfiguration: /etc/subgid: 65536 ids / no range" + ports},
		{"podman is broken", map[string]string{"bob podman info": "fails: time=\"2026-11-22T16:59:28Z\" level=error msg=\"it is broken\""}, "podman: podman info: works / cannot: it is broken" + ports},
		{"environment", map[string]string{"bob env": "HOME=/home/bob\x00API_TOKEN=x\x00"}, "environment: XDG_RUNTIME_DIR: /run/user/1000 / -" + ports},
		{"no session", map[string]string{"bob env": "fails: no"}, "session: running a command in it: works / cannot: no\nsession: user manager answers: running / -\ncgroup: of a command: /x / -" + ports},
		{"limits", map[string]string{"bob limits": "Max open files            512                  512                  files\n"}, "limits: max open files: 1024 to 20000 files / 512 files" + ports},
		{"groups", map[string]string{"bob id": "bob audio\n", "alice id": "alice\n"}, "groups: audio: - / member" + ports},
		{"runtime folder", map[string]string{"bob find": "s bus\n"}, "runtime folder: containers: folder / -\nruntime folder: containers/networks: folder / -" + ports},
		{"a container died", map[string]string{"bob podman ps": "app\tExited (126) 3 seconds ago\tlocalhost/app:latest\n"}, "containers: container app: Up, localhost/app:latest / Exited (126), localhost/app:latest" + ports},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.change == nil {
				c.change = map[string]string{}
			}
			if c.change["cat"] == "" {
				c.change["cat"] = "0::/x\n"
			}
			x, y, err := Accounts(t.Context(), started(t, answers(c.change)), "alice", "bob")
			if err != nil {
				t.Fatal(err)
			}
			if got := text(Compare(x.Facts, y.Facts, x.Who.Alike, y.Who.Alike)); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// Nothing of an account is started before everything else is known of both.
func TestPodmanComesLast(t *testing.T) {
	m := started(t, answers(nil))
	if _, _, err := Accounts(t.Context(), m, "alice", "bob"); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, c := range m.(*labtest.Machine).Commands() {
		words = append(words, c.Argv[0])
	}
	first := slices.IndexFunc(words, func(w string) bool { return w == "podman" || w == "busctl" })
	for _, w := range words[first:] {
		if w != "podman" && w != "busctl" {
			t.Errorf("%s after podman: %v", w, words[first:])
		}
	}
}

func TestAccountsThatAreNotThere(t *testing.T) {
	if _, _, err := Accounts(t.Context(), started(t, answers(map[string]string{"bob getent": "fails: "})), "alice", "bob"); err == nil || err.Error() != `cannot find account "bob" on machine.m` {
		t.Errorf("got %v", err)
	}
	m := started(t, answers(nil))
	m.(*labtest.Machine).Lose()
	if _, _, err := Accounts(t.Context(), m, "alice", "bob"); !errors.Is(err, labtest.ErrLost) && (err == nil || !strings.Contains(err.Error(), "lost")) {
		t.Errorf("got %v", err)
	}
}

// trialWith is a trial with one symptom, observed in the fault phase.
func trialWith(verdict lab.Verdict, seconds ...float64) *runner.Trial {
	start := time.Date(2024, 6, 1, 9, 30, 0, 0, time.UTC)
	l := &lab.Lab{Name: "l", Variant: lab.Variant{{Axis: "debian", Value: "bookworm"}}, Symptoms: []lab.Assertion{{Role: "symptom", Kind: "http", Name: "slow", Settings: []byte(`{"p95":"over 3s"}`)}}}
	t := &runner.Trial{Lab: l, Outcome: &runner.Outcome{
		Lab: "l", Variant: l.Variant, Verdict: verdict, Symptoms: []runner.SymptomResult{{Address: "symptom.http.slow", Appeared: verdict == lab.Reproduced}},
		Arms: []runner.Arm{{Name: "fault", Phases: []runner.Phase{{Kind: runner.InForce, Start: start, End: start.Add(time.Minute)}}}},
	}, Record: &runner.Record{Observations: map[string]map[string][]lab.Observation{"fault": {}}}}
	for i, s := range seconds {
		t.Record.Observations["fault"]["symptom.http.slow"] = append(t.Record.Observations["fault"]["symptom.http.slow"],
			lab.Observation{At: start.Add(time.Duration(i) * time.Second), Values: map[string]float64{"seconds": s}})
	}
	return t
}

func TestRuns(t *testing.T) {
	base := func() Run {
		return Run{
			Driver: "container", Saigen: "v1", Kernel: "Linux 6.1", Host: map[string]string{"cpus": "2"}, Trial: trialWith(lab.Reproduced, 3.1, 6.2, 9.3),
			Packages: map[string]map[string]string{"host": {"adduser": "3", "podman": "4.3.1"}},
			Files:    map[string]File{"lab.hcl": {Size: 3, Hash: strings.Repeat("a", 64)}},
			Accounts: Surroundings{"server": {"alice": {"PATH": "/usr/bin"}}},
		}
	}
	for _, c := range []struct {
		name   string
		change func(*Run)
		want   string
	}{
		{"nothing", func(*Run) {}, ""},
		{"noise", func(r *Run) { r.Trial = trialWith(lab.Reproduced, 3.0, 6.1, 9.2, 6.3) }, ""},
		{"a host", func(r *Run) { r.Host = map[string]string{"cpus": "4"} }, "host: cpus: 2 / 4"},
		{"packages", func(r *Run) { r.Packages = map[string]map[string]string{"host": {"adduser": "4", "podman": "5.4.2"}} },
			"packages: image.host podman: 4.3.1 / 5.4.2\npackages: image.host adduser: 3 / 4"},
		{"versions", func(r *Run) { r.Driver, r.Saigen, r.Kernel = "qemu", "v2", "Linux 6.12" },
			"versions: driver: container / qemu\nversions: saigen: v1 / v2\nversions: kernel of the host: Linux 6.1 / Linux 6.12"},
		{"settings", func(r *Run) { r.Trial.Lab.Symptoms[0].Settings = []byte(`{"p95":"over 60s"}`) }, "lab: symptoms.http.slow.settings.p95: over 3s / over 60s"},
		{"a file", func(r *Run) { r.Files = map[string]File{"lab.hcl": {Size: 4, Hash: strings.Repeat("b", 64)}} }, "files: lab.hcl: aaaaaaaaaaaa, 3 bytes / bbbbbbbbbbbb, 4 bytes"},
		{"an account", func(r *Run) { r.Accounts = Surroundings{"server": {"alice": {"PATH": "/bin"}}} }, "accounts: alice on server: PATH: /usr/bin / /bin"},
		{"what was seen", func(r *Run) { r.Trial = trialWith(lab.NotReproduced, 0.003, 0.004, 0.005) },
			"verdict: verdict: reproduced / not_reproduced\nverdict: symptom.http.slow: appeared / never appeared\n" +
				"observations: fault arm, fault: symptom.http.slow seconds: median 6.2 (3.1 to 9.3), 3 looks / median 0.004 (0.003 to 0.005), 3 looks"},
		{"a variant", func(r *Run) { r.Trial.Lab.Variant = lab.Variant{{Axis: "debian", Value: "trixie"}} }, "variant: debian: bookworm / trixie"},
	} {
		b := base()
		c.change(&b)
		if got := text(Runs(base(), b)); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}
