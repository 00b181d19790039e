package labfile

import (
	"encoding/json"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// The arguments that saigen adds to the settings of kinds, with their defaults. docs/lab-language.md lists them.
type (
	faultBlock struct {
		When condition `hcl:"when,optional"`
	}
	symptomBlock struct {
		When    condition     `hcl:"when,optional"`
		Every   lab.Duration  `hcl:"every,optional"`
		Within  lab.Duration  `hcl:"within,optional"`
		Figures []figureBlock `hcl:"figure,block"`
	}
	invariantBlock struct {
		When    condition     `hcl:"when,optional"`
		Every   lab.Duration  `hcl:"every,optional"`
		Figures []figureBlock `hcl:"figure,block"`
	}
	readyBlock struct {
		When   condition    `hcl:"when,optional"`
		Every  lab.Duration `hcl:"every,optional"`
		Within lab.Duration `hcl:"within,optional"`
		Hint   string       `hcl:"hint,optional"`
	}
	remedyBlock struct {
		When    condition       `hcl:"when,optional"`
		Machine lab.MachineRef  `hcl:"machine"`
		Account lab.AccountName `hcl:"account,optional"`
		Run     lab.Path        `hcl:"run"`
		Cures   bool            `hcl:"cures,optional"`
		Soak    lab.Duration    `hcl:"soak,optional"`
		Timeout lab.Duration    `hcl:"timeout,optional"`
	}
)

func (e *evaluator) fault(d *decoder, l *lab.Lab) {
	kind, ok := e.faults[d.block.Labels[0]]
	if !ok {
		return
	}
	settings := kind.New()
	raw, ok := e.settings(d, settings, &faultBlock{})
	if !ok {
		return
	}
	l.Faults = append(l.Faults, lab.Fault{
		Kind: kind.Name, Name: d.block.Labels[1], Settings: raw, Do: settings, Pos: position(d.subject()),
	})
}

func (e *evaluator) assertion(d *decoder, to *[]lab.Assertion) {
	kind, ok := e.assertions[d.block.Labels[0]]
	if !ok {
		return
	}
	a := lab.Assertion{Role: d.block.Type, Kind: kind.Name, Name: d.block.Labels[1], Pos: position(d.subject())}
	settings := kind.New()
	switch a.Role {
	case "symptom":
		in := symptomBlock{Every: "1s", Within: "2m"}
		a.Settings, ok = e.settings(d, settings, &in)
		a.Every, a.Within, a.Figures = in.Every, in.Within, e.figures(d, settings, in.Figures, ok)
	case "invariant":
		in := invariantBlock{Every: "1s"}
		a.Settings, ok = e.settings(d, settings, &in)
		a.Every, a.Figures = in.Every, e.figures(d, settings, in.Figures, ok)
	case "ready":
		in := readyBlock{Every: "200ms", Within: "60s"}
		a.Settings, ok = e.settings(d, settings, &in)
		a.Every, a.Within, a.Hint = in.Every, in.Within, in.Hint
	}
	e.positive(d, "every", a.Every)
	e.positive(d, "within", a.Within)
	if !ok {
		return
	}
	a.Do, a.Machine = settings, d.refs.machineRef
	if !d.refs.named {
		e.fail(d.subject(), "Nowhere to look", "An assertion is observed on a machine, and this block names neither a machine nor a stack. Add stack = stack.NAME or machine = machine.NAME, whichever the kind %q takes.", kind.Name)
	}
	*to = append(*to, a)
}

// positive complains of a time that must not be zero.
func (e *evaluator) positive(d *decoder, name string, v lab.Duration) {
	if d.good[name] && v.Value() <= 0 {
		e.fail(d.attrRange(name), "Time that is zero", "%q must be longer than nothing.", name)
	}
}

// settings decodes the block into a kind's struct and the arguments that saigen adds, and returns the struct as JSON.
func (e *evaluator) settings(d *decoder, settings, own any) (json.RawMessage, bool) {
	if !d.decode(own, settings) {
		return nil, false
	}
	if c, ok := settings.(lab.Checker); ok {
		before := e.errors
		for _, p := range c.Check() {
			e.fail(d.attrRange(p.Attr), capital(p.Summary), "%s", p.Detail)
		}
		if e.errors > before {
			return nil, false
		}
	}
	raw, err := json.Marshal(settings)
	if err != nil { // a number that has no JSON form
		e.fail(d.subject(), "Settings that cannot be stored", "They cannot be written as JSON: %s.", err)
		return nil, false
	}
	return raw, true
}

func (e *evaluator) remedy(d *decoder, l *lab.Lab) {
	in := remedyBlock{Cures: true, Soak: "30s", Timeout: "2m"}
	d.decode(&in)
	e.positive(d, "timeout", in.Timeout)
	if d.good["run"] && d.isFolder(in.Run) {
		e.fail(d.attrRange("run"), "Not a script", "%q is a folder; a script is needed here.", strings.TrimSuffix(string(in.Run), "/"))
	}
	l.Remedies = append(l.Remedies, lab.Remedy{
		Name: d.block.Labels[0], Machine: in.Machine, Account: string(in.Account), Run: in.Run, Cures: in.Cures, Soak: in.Soak,
		Timeout: in.Timeout, Pos: position(d.subject()),
	})
}
