package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// logLines is how much of a container's log is kept for the message that says why it ended.
const logLines = 20

// Trouble says what keeps a stack from running: of the first of its services, in the order of their start, whose container
// does not run, and what that one says itself. nil: all of them run, or podman cannot be asked. final: nothing starts that
// one again, so that waiting for it is of no use. It starts podman as the stack's account.
func (c *Compose) Trouble(ctx context.Context, m lab.Running, s lab.Stack) (trouble *lab.InfraError, final bool) {
	return troubleOf(ctx, m, s, "")
}

// inspected is what podman inspect says of a container, in podman 4.3.1 and 5.4.2.
type inspected struct {
	ID    string `json:"Id"`
	Name  string
	State struct {
		Status    string
		Error     string // podman 5: why it could not be started
		ExitCode  int
		OOMKilled bool
	}
	RestartCount int
	HostConfig   struct {
		RestartPolicy struct {
			Name              string // empty in podman 4, "no" in podman 5, where the compose file has none
			MaximumRetryCount int
		}
	}
}

// troubleOf is Trouble for a stack of which podman-compose up said something.
func troubleOf(ctx context.Context, m lab.Running, s lab.Stack, said string) (*lab.InfraError, bool) {
	all, err := inspect(ctx, m, s)
	if err != nil {
		return nil, false
	}
	var again *lab.InfraError
	for _, v := range s.Services {
		i := slices.IndexFunc(all, func(k inspected) bool { return k.Name == v.Container })
		if i < 0 {
			return unstarted(ctx, m, s, v, inspected{}, said), true
		}
		switch k := all[i]; k.State.Status {
		case "created", "configured", "initialized":
			return unstarted(ctx, m, s, v, k, said), true
		case "exited", "stopped", "dead":
			if !k.restarts() {
				return ended(ctx, m, s, v, k.how()), true
			}
			again = cmp.Or(again, ended(ctx, m, s, v, k.how()))
		default:
			if k.RestartCount > 0 {
				again = cmp.Or(again, ended(ctx, m, s, v, k.how()))
			}
		}
	}
	return again, false
}

// restarts says whether podman starts a container again that has ended.
func (k inspected) restarts() bool {
	switch p := k.HostConfig.RestartPolicy; p.Name {
	case "always", "unless-stopped":
		return true
	case "on-failure":
		return k.State.ExitCode != 0 && (p.MaximumRetryCount == 0 || k.RestartCount < p.MaximumRetryCount)
	}
	return false
}

// how says in which way a container has ended.
func (k inspected) how() string {
	switch {
	case k.RestartCount > 0 || k.restarts():
		return fmt.Sprintf("ends again and again (restarts so far: %d)", k.RestartCount)
	case k.State.OOMKilled:
		return "was killed because its memory was used up"
	}
	return fmt.Sprintf("exited with code %d", k.State.ExitCode)
}

// inspect returns those of the stack's containers that there are. podman inspect prints these and ends with code 125 when
// one is missing.
func inspect(ctx context.Context, m lab.Running, s lab.Stack) ([]inspected, error) {
	argv := []string{"podman", "inspect", "--type", "container"}
	for _, v := range s.Services {
		argv = append(argv, v.Container)
	}
	r, err := m.Run(ctx, lab.Command{Argv: argv, Account: s.Account})
	if err != nil {
		return nil, err
	}
	var all []inspected
	if err := json.Unmarshal(r.Stdout, &all); err != nil {
		return nil, fmt.Errorf("cannot read what podman inspect printed: %v", err)
	}
	return all, nil
}

// ended is the trouble with a service that has ended: its own last words.
func ended(ctx context.Context, m lab.Running, s lab.Stack, v lab.Service, how string) *lab.InfraError {
	e := &lab.InfraError{
		What: fmt.Sprintf("service %q of stack.%s %s", v.Name, s.Name, how),
		Hint: fmt.Sprintf("each service of a stack must keep running; podman logs %s, as %s, has all that it printed", v.Container, s.Account),
	}
	cmd := lab.Command{Argv: []string{"podman", "logs", "--tail", fmt.Sprint(logLines), v.Container}, Account: s.Account}
	r, err := m.Run(ctx, cmd)
	if err != nil || r.Code != 0 {
		return e
	}
	e.Tail = strings.TrimSpace(string(r.Stdout) + string(r.Stderr))
	if word := lastWord(e.Tail); word != "" {
		e.What += fmt.Sprintf(": %q", word)
	} else {
		e.What += " and printed nothing"
	}
	return e
}

// lastWord is the line of a log that says best why a program ended: what a Go program panics of, which its stacks
// follow, and otherwise the last line.
func lastWord(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	for _, l := range lines {
		if strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") {
			last = strings.TrimSpace(l)
		}
	}
	return cut(last)
}

// cut keeps a line short enough for a sentence.
func cut(line string) string {
	const most = 240
	if r := []rune(line); len(r) > most {
		return string(r[:most]) + "…"
	}
	return line
}

// unstarted is the trouble with a service that podman could not start.
func unstarted(ctx context.Context, m lab.Running, s lab.Stack, v lab.Service, k inspected, said string) *lab.InfraError {
	errs := errorLines(said)
	why := k.State.Error
	if why == "" {
		why = whyNot(errs, k.ID)
	}
	e := &lab.InfraError{
		What: fmt.Sprintf("cannot start stack.%s: service %q did not start", s.Name, v.Name),
		Hint: fmt.Sprintf("podman-compose up -d, as %s in %s, says it again", s.Account, s.Folder()),
		Tail: strings.TrimSpace(said),
	}
	if len(errs) > 0 {
		again := func(line string) bool { return strings.HasSuffix(line, ": "+why) }
		e.Tail = strings.Join(slices.DeleteFunc(errs, again), "\n")
	}
	if port, busy := busyPort(why, v); busy {
		e.What = fmt.Sprintf("cannot start stack.%s: port %d, which service %q publishes, is taken on %s", s.Name, port, v.Name, m.Ref())
		if who := holder(ctx, m, port); who != "" {
			e.What += " by " + who
		}
		e.Hint = "give the service another port, or stop what listens there before the stack starts"
	} else if why != "" {
		e.What += ": " + cut(why)
	}
	return e
}

// errorLines are podman's errors in what podman-compose printed, without their mark, each once. What is left out is that
// podman-compose 1.0.3 then tries to start a container that could not be made.
func errorLines(said string) []string {
	var out []string
	for line := range strings.Lines(said) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "Error: ")
		if ok && !slices.Contains(out, text) && !strings.HasSuffix(text, "no such container") {
			out = append(out, text)
		}
	}
	return out
}

// whyNot finds the error of one container. podman names a container that it could not start by its id, and one that it
// could not make not at all.
func whyNot(errs []string, id string) string {
	const unable = "unable to start container"
	for _, e := range errs {
		if _, why, ok := strings.Cut(e, fmt.Sprintf("%s %q: ", unable, id)); ok && id != "" {
			return why
		}
	}
	for _, e := range errs {
		if !strings.HasPrefix(e, unable) {
			return e
		}
	}
	return ""
}
