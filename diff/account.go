package diff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Who is an account as its machine knows it.
type Who struct{ Name, UID, GID, Home, Shell string }

// Account is all that was found out of one account of a machine.
type Account struct {
	Who   Who
	Facts []Fact
}

// The topics of an account, the most telling first: what a session lacks explains most of what is below it.
const (
	topicSession   = "session"
	topicOrphans   = "orphans"
	topicProcesses = "processes"
	topicDNS       = "container dns"
	topicConfig    = "configuration"
	topicPodman    = "podman"
	topicEnv       = "environment"
	topicLimits    = "limits"
	topicGroups    = "groups"
	topicUnits     = "user units"
	topicContainer = "containers"
	topicRuntime   = "runtime folder"
	topicCgroup    = "cgroup"
	topicPorts     = "ports"
)

var topics = []string{
	topicSession, topicOrphans, topicProcesses, topicDNS, topicConfig, topicPodman, topicEnv, topicLimits, topicGroups, topicUnits,
	topicContainer, topicRuntime, topicCgroup, topicPorts,
}

// patience bounds one command: podman of a broken account may wait for ever.
const patience = 20 * time.Second

// Accounts collects the facts of two accounts of a machine. What podman itself says is asked last, and of neither
// before everything else is known of both, because starting podman can repair what it meets.
func Accounts(ctx context.Context, m lab.Running, a, b string) (x, y Account, err error) {
	c := &collector{ctx: ctx, m: m}
	for _, side := range []struct {
		name string
		to   *Account
	}{{a, &x}, {b, &y}} {
		if side.to.Who, err = c.who(side.name); err != nil {
			return x, y, err
		}
		side.to.Facts = c.quiet(side.to.Who)
	}
	for _, to := range []*Account{&x, &y} {
		to.Facts = inOrder(append(to.Facts, c.podman(to.Who)...))
	}
	x.Facts, y.Facts = comparable(x.Facts, y.Facts), comparable(y.Facts, x.Facts)
	return x, y, c.lost
}

// comparable leaves out what the other side has nothing of, because it could not be asked: why is a fact of its own.
func comparable(facts, other []Fact) []Fact {
	return slices.DeleteFunc(slices.Clone(facts), func(f Fact) bool {
		switch f.Topic {
		case topicEnv, topicLimits, topicUnits, topicRuntime:
			return len(of(other, f.Topic)) == 0
		case topicPodman, topicContainer:
			return f.Name != podmanAnswers && len(of(other, topicPodman)) == 1
		}
		return false
	})
}

// podmanAnswers is the one fact of an account whose podman does not work.
const podmanAnswers = "podman info"

// inOrder puts facts in the order of their topics.
func inOrder(all []Fact) []Fact {
	var out []Fact
	for _, t := range topics {
		out = append(out, of(all, t)...)
	}
	return out
}

// collector asks a machine by commands. A command that fails is a fact too; a machine that was lost ends the collection.
type collector struct {
	ctx  context.Context //nolint:containedctx // of one collection, which is one call
	m    lab.Running
	lost error
}

// answer is what a command printed, or why it did not.
type answer struct {
	out  string
	errs string // what it printed on stderr
	fail string // empty: it ended with code 0
}

func (c *collector) ask(account string, argv ...string) answer {
	if c.lost != nil {
		return answer{fail: "the machine was lost"}
	}
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	res, err := c.m.Run(ctx, lab.Command{Argv: argv, Account: account})
	switch {
	case c.ctx.Err() != nil:
		c.lost = c.ctx.Err()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return answer{fail: fmt.Sprintf("no answer within %s", patience)}
	case err != nil && c.alive(): // no such program, or no session can be had
		return answer{fail: oneLine(err.Error())}
	case err != nil:
		c.lost = fmt.Errorf("cannot ask %s: %v", c.m.Ref(), err)
	}
	a := answer{out: string(res.Stdout), errs: string(res.Stderr)}
	if res.Code != 0 {
		a.fail = fmt.Sprintf("code %d", res.Code)
		if say := oneLine(strings.Join(warnings(a.errs+"\n"+a.out), "; ")); say != "" {
			a.fail = say
		}
	}
	return a
}

// alive says whether the machine still runs commands at all.
func (c *collector) alive() bool {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	_, err := c.m.Run(ctx, lab.Command{Argv: []string{"true"}})
	return err == nil
}

// or is the answer in one line, or why there is none.
func (a answer) or() string {
	if a.fail != "" {
		return a.fail
	}
	return oneLine(a.out)
}

func oneLine(s string) string {
	const most = 300
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}

func (c *collector) who(name string) (Who, error) {
	a := c.ask("", "getent", "passwd", name)
	if c.lost != nil {
		return Who{}, c.lost
	}
	w, ok := passwd(a.out)
	if a.fail != "" || !ok {
		return Who{}, fmt.Errorf("cannot find account %q on %s", name, c.m.Ref())
	}
	return w, nil
}

// quiet collects what can be found out without starting anything of the account but a command in its session.
func (c *collector) quiet(w Who) []Fact {
	var out []Fact
	add := func(topic string, facts ...Fact) {
		for _, f := range facts {
			f.Topic = topic
			out = append(out, f)
		}
	}
	runtime := "/run/user/" + w.UID
	linger := "no"
	if c.ask("", "test", "-e", "/var/lib/systemd/linger/"+w.Name).fail == "" {
		linger = "yes"
	}
	add(topicSession, Fact{Name: "linger", Value: linger})
	user := c.ask("", "loginctl", "show-user", w.Name, "-p", "State", "-p", "Sessions")
	state := properties(user.out)
	if user.fail != "" {
		state = map[string]string{"State": "not logged in, and not lingering"}
	}
	add(topicSession, Fact{Name: "logind", Value: state["State"]})
	var sessions []string
	for _, id := range strings.Fields(state["Sessions"]) {
		s := properties(c.ask("", "loginctl", "show-session", id, "-p", "Type", "-p", "Class", "-p", "Service", "-p", "State").out)
		sessions = append(sessions, fmt.Sprintf("%s by %s, class %s, %s", s["Type"], s["Service"], s["Class"], s["State"]))
	}
	add(topicSession, counted("login", sessions)...)
	manager := properties(c.ask("", "systemctl", "show", "user@"+w.UID+".service", "-p", "ActiveState", "-p", "SubState", "-p", "Result").out)
	value := manager["ActiveState"] + " (" + manager["SubState"] + ")"
	if r := manager["Result"]; r != "" && r != "success" {
		value += ", " + r
	}
	add(topicSession, Fact{Name: "user manager", Value: value})
	for _, socket := range []struct{ name, path string }{
		{"runtime folder", runtime}, {"user bus", runtime + "/bus"}, {"socket of the user manager", runtime + "/systemd/private"},
	} {
		is := "there"
		if a := c.ask("", "test", "-e", socket.path); a.fail != "" {
			is = "missing"
		}
		add(topicSession, Fact{Name: socket.name, Value: is})
	}
	add(topicSession, Fact{Name: "shell", Value: w.Shell})

	all := processes(c.ask("", "ps", "-e", "-o", "uid=,pid=,stat=,comm:32=,cgroup=").out)
	open := slices.ContainsFunc(sessions, func(s string) bool { return !strings.HasSuffix(s, "closing") })
	orphans, others := processFacts(all, w, open)
	add(topicOrphans, orphans...)
	add(topicProcesses, others...)
	add(topicDNS, dnsFacts(c.ask("", "grep", "-rs", "", runtime+"/containers/networks/aardvark-dns").out)...)
	add(topicConfig, configFacts(w.Home, c.ask("", "grep", "-rsI", "", w.Home+"/.config/containers", w.Home+"/.config/systemd",
		w.Home+"/.config/environment.d", w.Home+"/.docker", w.Home+"/.profile", w.Home+"/.bash_profile", w.Home+"/.bashrc").out)...)
	add(topicConfig, subordinate(c.ask("", "grep", "-s", "^"+w.Name+":", "/etc/subuid", "/etc/subgid").out)...)

	add(topicGroups, members(c.ask("", "id", "-Gn", w.Name).out, w.Name)...)
	add(topicRuntime, runtimeFacts(c.ask("", "find", runtime, "-mindepth", "1", "-maxdepth", "4", "-printf", `%y %P\n`).out)...)
	add(topicCgroup, Fact{Name: "controllers of the user manager", Value: c.ask("", "cat",
		"/sys/fs/cgroup/user.slice/user-"+w.UID+".slice/user@"+w.UID+".service/cgroup.controllers").or()})
	add(topicPorts, ports(c.ask("", "ss", "-H", "-tulnp").out, all, w)...)

	// From here on in the account's session, which a command brings about where there is none.
	env := c.ask(w.Name, "env", "-0")
	if env.fail != "" {
		add(topicSession, Fact{Name: "running a command in it", Value: "cannot: " + env.fail})
	} else {
		add(topicSession, Fact{Name: "running a command in it", Value: "works"})
		add(topicEnv, environment(env.out)...)
		add(topicEnv, Fact{Name: "umask", Value: c.ask(w.Name, "sh", "-c", "umask").or()})
		add(topicLimits, limits(c.ask(w.Name, "cat", "/proc/self/limits").out)...)
		add(topicCgroup, Fact{Name: "of a command", Value: cgroup(c.ask(w.Name, "cat", "/proc/self/cgroup").out)})
		add(topicSession, Fact{Name: "user manager answers", Value: word(c.ask(w.Name, "systemctl", "--user", "is-system-running"))})
		add(topicUnits, units(c.ask(w.Name, "systemctl", "--user", "list-units", "--all", "--no-legend", "--plain", "--full",
			"--type=service,socket,timer,path").out)...)
	}
	return out
}

// word is what systemctl is-system-running says: its exit code says the same again.
func word(a answer) string {
	if s := oneLine(a.out); s != "" {
		return s
	}
	return a.or()
}

// podman collects what the account's bus and podman say; asking starts them.
func (c *collector) podman(w Who) []Fact {
	bus := c.ask(w.Name, "busctl", "--user", "--timeout=5", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId")
	value := "yes"
	if bus.fail != "" {
		value = bus.fail
	}
	out := []Fact{{Topic: topicSession, Name: "user bus answers", Value: value}}
	info := c.ask(w.Name, "podman", "info", "--format", "json")
	if info.fail != "" {
		return append(out, Fact{Topic: topicPodman, Name: podmanAnswers, Value: "cannot: " + info.fail})
	}
	out = append(out, Fact{Topic: topicPodman, Name: podmanAnswers, Value: "works"})
	for i, line := range warnings(info.errs) {
		out = append(out, Fact{Topic: topicPodman, Name: fmt.Sprintf("warning %d", i+1), Value: line})
	}
	for _, f := range podmanFacts(info.out) {
		f.Topic = topicPodman
		out = append(out, f)
	}
	for _, l := range tabbed(c.ask(w.Name, "podman", "ps", "-a", "--format", "{{.Names}}\t{{.State}}\t{{.Image}}").out) {
		out = append(out, Fact{Topic: topicContainer, Name: "container " + l[0], Value: containerState(l)})
	}
	for _, l := range tabbed(c.ask(w.Name, "podman", "network", "ls", "--format", "{{.Name}}\t{{.Driver}}").out) {
		out = append(out, Fact{Topic: topicContainer, Name: "network " + l[0], Value: strings.Join(l[1:], " ")})
	}
	return out
}
