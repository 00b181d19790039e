package diff

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

const (
	// collectTime bounds the collection from one machine.
	collectTime = time.Minute
	// mostOfAnswer is how much of what one command prints is kept, in bytes: the end of it.
	mostOfAnswer = 512 << 10
)

// question is a command whose answer may explain a failure.
type question struct {
	argv []string
	safe func([]byte) []byte // takes out what is nobody's business; nil: what Mask does
}

func ask(argv ...string) question { return question{argv: argv} }

// machineQuestions are asked of the machine as root; what one of them needs may be missing, which is an answer too.
var machineQuestions = []struct {
	file      string
	questions []question
}{
	{"processes", []question{ask("ps", "-e", "-o", "user:16,pid,ppid,stat,lstart,comm:20,cgroup,args")}},
	{"units", []question{
		ask("systemctl", "--no-pager", "--full", "list-units", "--failed"),
		ask("systemctl", "--no-pager", "--full", "list-units", "--all", "--type=service,socket,scope,slice"),
		ask("loginctl", "--no-pager", "list-users"),
		ask("loginctl", "--no-pager", "list-sessions"),
	}},
	{"network", []question{
		ask("ip", "address"), ask("ip", "route", "show", "table", "all"), ask("ip", "neighbour"),
		ask("ss", "-tulnp"), ask("nft", "list", "ruleset"), ask("iptables-save"),
	}},
	{"kernel", []question{
		ask("dmesg"), ask("uname", "-a"), ask("free", "-m"), ask("df", "-h"), ask("sh", "-c", "tail -n +1 /proc/loadavg /proc/pressure/*"),
		ask("sysctl", "kernel.pid_max", "kernel.threads-max", "user.max_user_namespaces", "fs.inotify.max_user_instances"),
	}},
}

// accountQuestions are asked of each account, in its session. What only reads comes before podman, which may repair.
func accountQuestions(w Who) []question {
	runtime := "/run/user/" + w.UID
	return []question{
		ask("id"), {argv: []string{"env"}, safe: hideValues}, ask("cat", "/proc/self/limits", "/proc/self/cgroup"),
		ask("find", runtime, "-maxdepth", "4", "-ls"),
		ask("grep", "-rs", "", runtime+"/containers/networks/aardvark-dns"),
		ask("grep", "-rsI", "", w.Home+"/.config/containers"),
		ask("systemctl", "--user", "--no-pager", "--full", "list-units", "--all"),
		ask("journalctl", "--user", "--no-pager", "--boot", "--lines=2000", "--output", "short-precise"),
		ask("podman", "info"), ask("podman", "ps", "-a", "--no-trunc"), ask("podman", "images", "-a"),
		{argv: []string{"sh", "-c", "podman ps -aq | xargs -r podman inspect"}, safe: hideEnvironment},
		ask("podman", "network", "ls"), ask("sh", "-c", "podman network ls -q | xargs -r podman network inspect"),
		ask("podman", "events", "--stream=false", "--since=1h"),
	}
}

// Collect asks a machine what may explain a failure: processes, units, network, kernel, and of every account its session,
// podman, containers and networks. keep is given each file by its name; what looks like a secret is not in them. It takes
// a minute at most, and a machine that does not answer costs its answers only.
func Collect(ctx context.Context, m lab.Running, spec lab.Machine, keep func(name string, data []byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, collectTime)
	defer cancel()
	c := &collector{ctx: ctx, m: m}
	for _, g := range machineQuestions {
		if err := keep(g.file, c.answers("", g.questions)); err != nil {
			return err
		}
	}
	for _, a := range spec.Accounts {
		w, err := c.who(a.Name)
		if err != nil {
			continue
		}
		if err := keep("account-"+a.Name, c.answers(a.Name, accountQuestions(w))); err != nil {
			return err
		}
	}
	return c.lost
}

// Seen is what commands of each account of a machine see: its environment and its limits.
func Seen(ctx context.Context, m lab.Running, spec lab.Machine) map[string]map[string]string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := &collector{ctx: ctx, m: m}
	out := map[string]map[string]string{}
	for _, a := range spec.Accounts {
		w, err := c.who(a.Name)
		if err != nil {
			continue
		}
		seen := map[string]string{}
		for _, f := range environment(c.ask(a.Name, "env", "-0").out) {
			seen[f.Name] = anonymous(f.Value)
		}
		for _, f := range limits(c.ask(a.Name, "cat", "/proc/self/limits").out) {
			seen["limit of "+f.Name] = f.Value
		}
		seen["groups"] = c.ask("", "id", "-Gn", w.Name).or()
		out[a.Name] = seen
	}
	return out
}

// answers is one file: each command as it would be typed, and what it printed.
func (c *collector) answers(account string, questions []question) []byte {
	var out bytes.Buffer
	for _, q := range questions {
		a := c.ask(account, q.argv...)
		if c.lost != nil {
			fmt.Fprintf(&out, "$ %s\n(%v)\n", strings.Join(q.argv, " "), c.lost)
			return out.Bytes()
		}
		safe := q.safe
		if safe == nil {
			safe = func(b []byte) []byte { return []byte(Mask(string(b))) }
		}
		text := safe([]byte(a.out))
		if n := len(text) - mostOfAnswer; n > 0 {
			text = append([]byte(fmt.Sprintf("(%d earlier bytes left out)\n", n)), text[n:]...)
		}
		fmt.Fprintf(&out, "$ %s\n%s", strings.Join(q.argv, " "), text)
		if a.errs != "" {
			fmt.Fprintf(&out, "%s\n", strings.TrimRight(Mask(a.errs), "\n"))
		}
		if a.fail != "" {
			fmt.Fprintf(&out, "(failed: %s)\n", Mask(a.fail))
		}
		out.WriteString("\n")
	}
	return out.Bytes()
}

// hideValues keeps the names of variables, and the values of those that say nothing about anybody.
func hideValues(text []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		name, value, ok := strings.Cut(string(bytes.TrimRight(line, "\n")), "=")
		if !ok || !plain[name] {
			value = Masked
		}
		fmt.Fprintf(&out, "%s=%s\n", name, value)
	}
	return out.Bytes()
}

// plain are the variables whose values explain how a session was made.
var plain = map[string]bool{
	"PATH": true, "HOME": true, "USER": true, "LOGNAME": true, "SHELL": true, "LANG": true, "PWD": true, "TERM": true,
	"XDG_RUNTIME_DIR": true, "DBUS_SESSION_BUS_ADDRESS": true, "XDG_SESSION_ID": true, "XDG_SESSION_TYPE": true, "XDG_SESSION_CLASS": true, "MANAGERPID": true,
}

// hideEnvironment takes the values of variables out of what podman inspect says.
func hideEnvironment(text []byte) []byte {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		if len(bytes.TrimSpace(text)) == 0 {
			return nil
		}
		return []byte("(not JSON, and not kept, since environments may be in it)\n")
	}
	data, err := json.MarshalIndent(hideIn("", v), "", "  ")
	if err != nil {
		return nil
	}
	return append([]byte(Mask(string(data))), '\n')
}

func hideIn(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = hideIn(k, v[k])
		}
	case []any:
		for i := range v {
			s, ok := v[i].(string)
			before := ""
			if i > 0 {
				before, _ = v[i-1].(string)
			}
			switch {
			case !ok:
				v[i] = hideIn(key, v[i])
			case key == "Env", key == "CreateCommand" && (before == "-e" || before == "--env"):
				name, _, _ := strings.Cut(s, "=")
				v[i] = name + "=" + Masked
			case key == "CreateCommand" && strings.HasPrefix(s, "--env="):
				name, _, _ := strings.Cut(strings.TrimPrefix(s, "--env="), "=")
				v[i] = "--env=" + name + "=" + Masked
			}
		}
	}
	return v
}
