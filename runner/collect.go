package runner

import (
	"context"
	"fmt"
	"slices"

	"github.com/saigen-lab/saigen/lab"
)

// keepSeen keeps what the accounts of an arm see, while its machines are there.
func (t *attempt) keepSeen(ctx context.Context, a *arm) {
	if t.r.Seen == nil {
		return
	}
	seen := map[string]any{}
	for _, m := range a.machines {
		if accounts := t.r.Seen(ctx, m, machineOf(t.l, m.Ref())); len(accounts) > 0 {
			seen[m.Ref().Name()] = accounts
		}
	}
	if len(seen) > 0 {
		if err := t.ev.json(AccountsFile, seen); err != nil {
			t.tell(Event{Type: Warning, Text: fmt.Sprintf("cannot keep what the accounts see: %v", err)})
		}
	}
}

// explain gathers from the machines what explains a trial whose verdict is not the expected one. A machine that does not
// answer costs its answers only.
func (t *attempt) explain(ctx context.Context, record *Record, fault, control *arm) {
	if o := Judge(t.l, record); t.r.Collect == nil || o.AsExpected() || ctx.Err() != nil {
		return
	}
	for _, a := range []*arm{fault, control} {
		for _, m := range a.machines {
			a.emit(Event{Type: Step, Subject: string(m.Ref()), Text: "collecting what explains it from " + m.Ref().Name()})
			err := t.r.Collect(ctx, m, machineOf(t.l, m.Ref()), func(name string, data []byte) error {
				return a.log(m.Ref().Name()+"-"+name, data)
			})
			if err != nil {
				a.emit(Event{Type: Warning, Subject: string(m.Ref()), Text: fmt.Sprintf("cannot collect everything from %s: %v", m.Ref().Name(), err)})
			}
		}
	}
}

func machineOf(l *lab.Lab, ref lab.MachineRef) lab.Machine {
	if i := slices.IndexFunc(l.Machines, func(m lab.Machine) bool { return m.Name == ref.Name() }); i >= 0 {
		return l.Machines[i]
	}
	return lab.Machine{Name: ref.Name()}
}

// goesWell says whether the trial gets its expected verdict if the control arm goes on to show what the fault arm showed
// at its baseline: then the fault arm's machines are of no more interest.
func (t *attempt) goesWell(fault *arm) bool {
	r := &Record{Observations: map[string]map[string][]lab.Observation{}}
	fault.into(r)
	if len(r.Arms[0].Phases) == 0 {
		return false
	}
	same := r.Arms[0]
	same.Name, same.Phases = Control, same.Phases[:1]
	r.Arms = append(r.Arms, same)
	r.Observations[Control] = r.Observations[Fault]
	o := Judge(t.l, r)
	return o.AsExpected()
}

// surprises says whether an arm in which nothing should happen has shown something, so that its machines are of interest.
func (a *arm) surprises() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != "" || a.lost != nil {
		return true
	}
	for _, p := range a.phases {
		for _, s := range a.l.Symptoms {
			if seen, _ := during(a.seen[s.Address()], p); firstHeld(s.Do, seen) >= 0 {
				return true
			}
		}
		for _, i := range a.l.Invariants {
			if seen, _ := during(a.seen[i.Address()], p); firstNotHeld(i.Do, seen) >= 0 {
				return true
			}
		}
	}
	return false
}
