package assertions

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Unit looks at a unit of systemd: one of the system, one that an account's user manager has, or that manager itself.
//
// All settings that are given must hold together, on the newest look. The manager is asked over its own socket, as the account, which
// needs no bus and opens no session: looking does not start what is being watched. A unit that nobody knows is "not_found", not
// "inactive"; and the units of a user manager that does not run are neither, they are "no_manager".
//
// Values: active (1 or 0), manager (1 or 0: whether the account's user manager runs; with an account only), restarts, which systemd
// has made of the service by itself.
type Unit struct {
	// The machine to look at. Either this or stack.
	Machine lab.MachineRef `hcl:"machine,optional" json:"machine,omitempty"`
	// Look at this stack's machine, and ask the user manager of its account.
	Stack lab.StackRef `hcl:"stack,optional" json:"stack,omitempty"`
	// The account whose user manager is asked. Default: the system's manager, or the stack's account.
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"`
	// The unit, with its type: "dbus.socket". Default: the account's user manager itself, user@UID.service.
	Name string `hcl:"name,optional" json:"name,omitempty"`
	// Holds in this state: "active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance", "refreshing"; "not_found" when no
	// such unit is known; "no_manager" when the account has no user manager that runs.
	State string `hcl:"state,optional" json:"state,omitempty"`
	// Holds in this sub-state of the unit's type, such as "running", "listening" or "dead".
	Sub string `hcl:"sub,optional" json:"sub,omitempty"`
	// Holds when the unit ended this way the last time: "success", "exit-code", "signal", "timeout", "oom-kill" …
	Result string `hcl:"result,optional" json:"result,omitempty"`
}

// What stands in for systemd's word for the state of a unit.
const (
	unitNotFound  = "not_found"
	unitNoManager = "no_manager"
)

// unitStates are systemd's words (org.freedesktop.systemd1(5)), and the two above.
var unitStates = []string{"active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance", "refreshing", unitNotFound, unitNoManager}

var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]+\.(service|socket|target|device|mount|automount|swap|timer|path|slice|scope)$`)

// Check implements lab.Checker.
func (u *Unit) Check() []lab.Problem {
	var out []lab.Problem
	ofAccount := u.Account != "" || u.Stack != ""
	switch {
	case u.Name == "" && !ofAccount:
		out = append(out, lab.Problem{Attr: "name", Summary: "no unit is named",
			Detail: "Write the unit's name with its type, such as \"ssh.service\"; only with an account or a stack it may be left out, for the account's user manager."})
	case u.Name != "" && !unitName.MatchString(u.Name):
		out = append(out, lab.Problem{Attr: "name", Summary: "not the name of a unit",
			Detail: fmt.Sprintf("%q does not end with a type of unit. Write it in full, such as \"dbus.socket\" or \"ssh.service\".", u.Name)})
	}
	if u.State == "" && u.Sub == "" && u.Result == "" {
		out = append(out, nothingAsserted("state, sub and result"))
	}
	if u.State != "" && !slices.Contains(unitStates, u.State) {
		out = append(out, lab.Problem{Attr: "state", Summary: "no such state",
			Detail: fmt.Sprintf("%q is not a state of a unit, so it would never be met. Write one of %s.", u.State, strings.Join(unitStates, ", "))})
	}
	if u.State == unitNoManager && (!ofAccount || u.Name == "") {
		out = append(out, lab.Problem{Attr: "state", Summary: "no user manager is asked",
			Detail: "Only the units of an account's user manager can be without it. Set account and name; for the manager itself write \"inactive\" or \"failed\"."})
	}
	if (u.State == unitNotFound || u.State == unitNoManager) && (u.Sub != "" || u.Result != "") {
		out = append(out, lab.Problem{Attr: "state", Summary: "such a unit has no sub-state and no result",
			Detail: fmt.Sprintf("Nothing more is known of a unit that is %q. Remove sub and result.", u.State)})
	}
	if (u.Stack == "") == (u.Machine == "") {
		out = append(out, onePlace())
	}
	return out
}

// Limits implements lab.Limiter.
func (*Unit) Limits() []string { return []string{"state", "sub", "result"} }

// Numbers implements lab.Numbered.
func (u *Unit) Numbers() []string {
	if u.Account == "" && u.Stack == "" {
		return []string{"active", "restarts"}
	}
	return []string{"active", "manager", "restarts"}
}

const unitProperties = "--property=LoadState,ActiveState,SubState,Result,NRestarts"

// askManager prints the properties of the user manager of account $1, and, when there is a $2 and the manager runs, an empty line and those of
// unit $2. systemctl --user finds the manager's socket by XDG_RUNTIME_DIR. systemctl --machine=ACCOUNT@ would log the account in, and so
// start the manager. An empty $1 is the system's manager.
const askManager = `set -e
ask="systemctl show ` + unitProperties + `"
if [ -z "$1" ]; then exec $ask -- "$2"; fi
uid=$(id -u -- "$1")
manager=$($ask "user@$uid.service")
printf 'Manager=user@%s.service\n%s\n' "$uid" "$manager"
if [ -z "$2" ]; then exit 0; fi
if ! printf '%s\n' "$manager" | grep -qx ActiveState=active; then exit 0; fi
echo
exec setpriv --reuid="$uid" --regid="$(id -g -- "$1")" --init-groups env XDG_RUNTIME_DIR="/run/user/$uid" systemctl --user show ` + unitProperties + ` -- "$2"
`

// Observe implements lab.Observer.
func (u *Unit) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	account := string(u.Account)
	if u.Stack != "" {
		stack, ok := at.Stack(u.Stack)
		if !ok {
			return lab.Observation{}, fmt.Errorf("cannot find %s on this machine", u.Stack)
		}
		if account == "" {
			account = stack.Account
		}
	}
	cmd := lab.Command{Argv: []string{"sh", "-c", askManager, "sh", account, u.Name}}
	r, err := at.Run(ctx, cmd)
	if err != nil {
		return lab.Observation{}, err
	}
	if r.Code != 0 {
		return lab.Observation{}, fmt.Errorf("cannot look at unit %s: code %d: %s", u.Name, r.Code, strings.TrimSpace(string(r.Stderr)))
	}
	first, second, _ := strings.Cut(string(r.Stdout), "\n\n")
	manager, unit := properties(first), properties(second)
	o := lab.Observation{Values: map[string]float64{}}
	if account != "" {
		o.Values["manager"] = truth(manager["ActiveState"] == "active")
	}
	switch {
	case account == "" || u.Name == "":
		unit = manager
	case second == "":
		unit = map[string]string{"ActiveState": unitNoManager}
		o.Summary = fmt.Sprintf("no user manager: %s is %s", manager["Manager"], say(manager))
	}
	if unit["ActiveState"] == "" {
		return lab.Observation{}, fmt.Errorf("cannot look at unit %s: systemctl says nothing of it", u.Name)
	}
	if unit["LoadState"] == "not-found" && unit["ActiveState"] == "inactive" {
		unit = map[string]string{"ActiveState": unitNotFound}
	}
	if o.Summary == "" {
		o.Summary = say(unit)
	}
	o.Lines = []string{"state=" + unit["ActiveState"], "sub=" + unit["SubState"], "result=" + unit["Result"]}
	o.Values["active"] = truth(unit["ActiveState"] == "active")
	restarts, _ := strconv.ParseFloat(unit["NRestarts"], 64) // only services have it
	o.Values["restarts"] = restarts
	return o, nil
}

// properties reads what systemctl show prints.
func properties(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			out[name] = value
		}
	}
	return out
}

// say is a unit's state in words: "active (running)", "failed (failed, signal)".
func say(p map[string]string) string {
	var more []string
	if p["SubState"] != "" {
		more = append(more, p["SubState"])
	}
	if p["Result"] != "" && p["Result"] != "success" {
		more = append(more, p["Result"])
	}
	if len(more) == 0 {
		return p["ActiveState"]
	}
	return p["ActiveState"] + " (" + strings.Join(more, ", ") + ")"
}

// Holds implements lab.Observer.
func (u *Unit) Holds(history []lab.Observation) bool {
	is := properties(strings.Join(last(history).Lines, "\n"))
	return (u.State == "" || is["state"] == u.State) &&
		(u.Sub == "" || is["sub"] == u.Sub) &&
		(u.Result == "" || is["result"] == u.Result)
}
