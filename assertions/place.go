package assertions

import (
	"context"
	"fmt"
	"math"

	"github.com/saigen-lab/saigen/lab"
)

// service finds a service of a stack of the machine.
func service(at lab.Place, ref lab.StackRef, name lab.ServiceName) (lab.Stack, lab.Service, error) {
	stack, ok := at.Stack(ref)
	if !ok {
		return lab.Stack{}, lab.Service{}, fmt.Errorf("cannot find %s on this machine", ref)
	}
	s, ok := stack.Service(string(name))
	if !ok {
		return stack, lab.Service{}, fmt.Errorf("cannot find service %q in %s", name, ref)
	}
	return stack, s, nil
}

// running finds the running container of a name; an error says that none runs.
func running(ctx context.Context, at lab.Place, account, name string) (lab.Container, error) {
	all, err := at.Containers(ctx, account)
	if err != nil {
		return lab.Container{}, err
	}
	for _, c := range all {
		if c.Name == name && c.PID != 0 {
			return c, nil
		}
	}
	return lab.Container{}, fmt.Errorf("cannot look from container %q of %s: it does not run", name, account)
}

// last is the newest observation.
func last(history []lab.Observation) lab.Observation { return history[len(history)-1] }

// alwaysTrue says whether every count satisfies the limit, so that an assertion with it could never fail.
func alwaysTrue(count lab.Limit) bool {
	if count == "" || count.Check() != nil {
		return false
	}
	_, high := count.Interval()
	return math.IsInf(high, 1) && count.Holds(0)
}

// checkTime complains about a limit on a time that has no unit, or that every time satisfies.
func checkTime(attr string, limit lab.Limit) []lab.Problem {
	switch {
	case limit == "" || limit.Check() != nil: // an empty one asserts nothing; a wrong one is complained about where its type is known
		return nil
	case !limit.IsTime():
		return []lab.Problem{{Attr: attr, Summary: "a time without a unit",
			Detail: fmt.Sprintf("%q could mean anything. Write the unit, as in \"over 3s\" or \"under 250ms\".", string(limit))}}
	case alwaysTrue(limit):
		return []lab.Problem{{Attr: attr, Summary: "every time is in the limit",
			Detail: "Any request would satisfy this limit, so it proves nothing. Write one that some request could miss, such as \"over 3s\"."}}
	}
	return nil
}

// nothingAsserted is the complaint about an assertion that could never fail because it compares nothing.
func nothingAsserted(settings string) lab.Problem {
	return lab.Problem{
		Summary: "nothing is asserted",
		Detail:  "Without a setting to compare with, this assertion could never fail and would prove nothing. Set at least one of " + settings + ".",
	}
}

// plural is "1 line", "2 lines".
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	if word == "address" {
		return fmt.Sprintf("%d addresses", n)
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// truth is 1 or 0: how a yes or no is kept among an observation's values.
func truth(v bool) float64 {
	if v {
		return 1
	}
	return 0
}
