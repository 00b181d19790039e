package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// Again judges a stored trial with another lab: the frozen one, today's, or one with other limits. What is no part of a
// judgement (times, the folder, drift) stays as it was, so the frozen lab gives the stored verdict, byte for byte. The
// lab must be of the same experiment: see Differs.
func (t *Trial) Again(l *lab.Lab) *Outcome {
	o := Judge(l, t.Record)
	was := t.Outcome
	o.Trial, o.Started, o.Took, o.Folder, o.Drift = was.Trial, was.Started, was.Took, was.Folder, was.Drift
	if o.Verdict == lab.Inconclusive {
		o.Hint, o.Tail = was.Hint, was.Tail
	}
	return &o
}

// Unwatched says what a verdict that is not the stored one does not know: a phase ends as soon as everything that
// the limits of the run asked for was seen, and nobody looked at what came later. Empty: nothing.
func (t *Trial) Unwatched(l *lab.Lab, o *Outcome) string {
	var missing []string
	for i, s := range o.Symptoms {
		if s.Appeared {
			continue
		}
		within := l.Symptoms[i].Within.Value()
		for _, a := range o.Arms {
			for _, p := range a.Phases {
				if a.Name == Fault && p.Kind == InForce && p.End.Sub(p.Start) < within {
					missing = append(missing, fmt.Sprintf("%s has %s to appear, and was watched for %.1f s", s.Address, l.Symptoms[i].Within, p.End.Sub(p.Start).Seconds()))
				}
			}
		}
	}
	if len(missing) > 0 {
		return strings.Join(missing, "; ") + ", because every symptom of the run had appeared by then"
	}
	var untried []string
	if o.Verdict == lab.Reproduced {
		for _, rem := range l.Remedies {
			if !slices.ContainsFunc(o.Remedies, func(r RemedyResult) bool { return r.Name == rem.Name }) {
				untried = append(untried, rem.Name)
			}
		}
	}
	if len(untried) > 0 {
		return "never tried, because a symptom was missing when the lab was run: " + strings.Join(untried, ", ")
	}
	return ""
}

// Differs says why a lab cannot judge what was observed with another one: what was done, or the way of looking, was
// not the same. Limits, hints, titles and the expected verdict may differ. Empty: it can.
func Differs(then, now *lab.Lab) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	each(then.Faults, now.Faults, lab.Fault.Address, func(address string, a, b *lab.Fault) {
		switch {
		case b == nil:
			say("%s was injected, and the lab does not have it any more", address)
		case a == nil:
			say("%s is new: it was not injected", address)
		case !same(a.Settings, b.Settings):
			say("%s was injected with other settings", address)
		}
	})
	probes := func(l *lab.Lab) []lab.Assertion { return slices.Concat(l.Symptoms, l.Invariants) }
	each(probes(then), probes(now), lab.Assertion.Address, func(address string, a, b *lab.Assertion) {
		switch {
		case b == nil:
			say("%s was observed, and the lab does not have it any more", address)
		case a == nil:
			say("%s is new: it was not observed", address)
		case a.Machine != b.Machine || a.Every != b.Every || !same(look(*a), look(*b)):
			say("%s was observed in another way (%s): the observations were made by another probe", address, strings.Join(otherLook(*a, *b), ", "))
		}
	})
	name := func(r lab.Remedy) string { return "remedy." + r.Name }
	each(then.Remedies, now.Remedies, name, func(address string, a, b *lab.Remedy) {
		switch {
		case b == nil:
			say("%s was applied, and the lab does not have it any more", address)
		case a == nil:
			say("%s is new: it was not applied", address)
		case a.Machine != b.Machine || a.Account != b.Account || a.Run != b.Run || a.Soak != b.Soak:
			say("%s was applied in another way", address)
		}
	})
	return out
}

// each pairs what two lists have under the same name, in the order of the first; what only one has is paired with nil.
func each[T any](then, now []T, name func(T) string, do func(string, *T, *T)) {
	find := func(all []T, n string) *T {
		if i := slices.IndexFunc(all, func(v T) bool { return name(v) == n }); i >= 0 {
			return &all[i]
		}
		return nil
	}
	for i := range then {
		do(name(then[i]), &then[i], find(now, name(then[i])))
	}
	for i := range now {
		if find(then, name(now[i])) == nil {
			do(name(now[i]), nil, &now[i])
		}
	}
}

// look is the settings of an assertion that decide what is observed: all but its limits, with the defaults filled in.
func look(a lab.Assertion) json.RawMessage {
	settings := settingsOf(a)
	if l, ok := a.Do.(lab.Limiter); ok {
		for _, limit := range l.Limits() {
			forget(settings, strings.Split(limit, "."))
		}
	}
	data, _ := json.Marshal(settings) // it was read from JSON
	return data
}

func settingsOf(a lab.Assertion) map[string]any {
	data, err := json.Marshal(a.Do)
	if err != nil {
		data = a.Settings
	}
	settings := map[string]any{}
	_ = json.Unmarshal(data, &settings) // what is no object has no settings
	return settings
}

func forget(settings map[string]any, path []string) {
	if len(path) == 1 {
		delete(settings, path[0])
	} else if inner, ok := settings[path[0]].(map[string]any); ok {
		forget(inner, path[1:])
	}
}

// otherLook names what differs in the way of looking, for people.
func otherLook(a, b lab.Assertion) []string {
	var out []string
	if a.Machine != b.Machine {
		out = append(out, "machine")
	}
	if a.Every != b.Every {
		out = append(out, fmt.Sprintf("every %s, now %s", a.Every, b.Every))
	}
	var then, now map[string]any
	_, _ = json.Unmarshal(look(a), &then), json.Unmarshal(look(b), &now)
	for _, name := range sortedKeys(then, now) {
		x, _ := json.Marshal(then[name])
		y, _ := json.Marshal(now[name])
		if !bytes.Equal(x, y) {
			out = append(out, fmt.Sprintf("%s %s, now %s", name, x, y))
		}
	}
	return out
}

func sortedKeys(maps ...map[string]any) []string {
	var out []string
	for _, m := range maps {
		for k := range m {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func same(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return bytes.Equal(a, b)
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return bytes.Equal(p, q)
}
