package labfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// testKinds are kinds in the shape of the real ones, with one of everything that a setting can be.
func testKinds() Kinds {
	return Kinds{
		Faults: []lab.Kind[lab.Breaker]{
			{Name: "container_churn", New: func() lab.Breaker { return &churn{Rounds: 3, Kill: &kill{After: "1s"}} }},
			{Name: "session_kill", New: func() lab.Breaker { return &sessionKill{Rounds: 3} }},
		},
		Assertions: []lab.Kind[lab.Observer]{
			{Name: "dns_answers", New: func() lab.Observer { return &dnsAnswers{} }},
			{Name: "http", New: func() lab.Observer { return &page{Status: 200} }},
			{Name: "http_latency", New: func() lab.Observer { return &latency{} }},
			{Name: "log", New: func() lab.Observer { return &logged{AtLeast: 1} }},
			{Name: "command", New: func() lab.Observer { return &command{} }},
			{Name: "lonely", New: func() lab.Observer { return &lonely{} }},
			{Name: "trend", New: func() lab.Observer { return &trend{} }},
		},
	}
}

type noFault struct{}

func (noFault) Inject(context.Context, lab.Env) error { return nil }
func (noFault) Verify(context.Context, lab.Env) error { return nil }
func (noFault) Heal(context.Context, lab.Env) error   { return nil }

type noProbe struct{}

func (noProbe) Observe(context.Context, lab.Place) (lab.Observation, error) {
	return lab.Observation{}, nil
}
func (noProbe) Holds([]lab.Observation) bool { return false }

// churn deploys a service again and again.
// Each time it dies.
type churn struct {
	noFault
	// Stack is what is deployed.
	Stack lab.StackRef `hcl:"stack" json:"stack"`
	// Service of the stack that dies.
	Service lab.ServiceName `hcl:"service" json:"service"`
	// DiesOf is what makes a round end.
	DiesOf string `hcl:"dies_of,optional" json:"dies_of,omitempty"`
	// How often.
	Rounds int   `hcl:"rounds,optional" json:"rounds"`
	Kill   *kill `hcl:"kill,block" json:"kill,omitempty"` // how each round ends
}

type kill struct {
	After lab.Duration `hcl:"after,optional" json:"after"` // after this time
}

// sessionKill kills what an account runs.
type sessionKill struct {
	noFault
	Stack        lab.StackRef         `hcl:"stack" json:"stack"`                          // the account's stack
	Account      lab.AccountName      `hcl:"account,optional" json:"account"`             // whose
	LoginSession bool                 `hcl:"login_session,optional" json:"login_session"` // whether a login is open
	Rounds       int                  `hcl:"rounds,optional" json:"rounds"`               // how often
	Sizes        []lab.Size           `hcl:"sizes,optional" json:"sizes,omitempty"`       // of things
	Weights      map[string]int       `hcl:"weights,optional" json:"weights,omitempty"`   // by name
	Script       lab.Path             `hcl:"script,optional" json:"script,omitempty"`     // run before
	Factor       *float64             `hcl:"factor,optional" json:"factor,omitempty"`     // of nothing
	Steps        []step               `hcl:"step,block" json:"steps,omitempty"`           // one after the other
	Limits       map[string]lab.Limit `hcl:"limits,optional" json:"limits,omitempty"`     // by name
}

type step struct {
	Name  string       `hcl:"name,label" json:"name"` // of the step
	Pause lab.Duration `hcl:"pause" json:"pause"`     // afterwards
}

// dnsAnswers asks the resolver of a container.
type dnsAnswers struct {
	noProbe
	Stack lab.StackRef    `hcl:"stack" json:"stack"`                  // whose containers
	From  lab.ServiceName `hcl:"from" json:"from"`                    // which asks
	Name  string          `hcl:"name" json:"name"`                    // the question
	Over  *int            `hcl:"over,optional" json:"over,omitempty"` // more answers than this
	Only  *only           `hcl:"only,block" json:"only,omitempty"`    // what counts
}

type only struct {
	Dead    bool            `hcl:"dead,optional" json:"dead"`                 // addresses nobody has
	Service lab.ServiceName `hcl:"service,optional" json:"service,omitempty"` // of this one
}

func (d *dnsAnswers) Numbers() []string { return []string{"answers", "ttl"} }

func (d *dnsAnswers) Check() []lab.Problem {
	if d.Over == nil && d.Only == nil {
		return []lab.Problem{{Summary: "Assertion that cannot fail", Detail: "Say over, or only."}}
	}
	if d.Over != nil && *d.Over < 0 {
		return []lab.Problem{{Attr: "over", Summary: "Number below zero", Detail: "There are never fewer answers than 0."}}
	}
	if d.Only != nil && d.Only.Dead && d.Name == "dead" {
		return []lab.Problem{{Attr: "only.dead", Summary: "dead and dead", Detail: "That is too much."}}
	}
	return nil
}

// page is a page of a stack.
type page struct {
	noProbe
	Stack  lab.StackRef `hcl:"stack" json:"stack"`            // which serves it
	URL    lab.URL      `hcl:"url" json:"url"`                // where
	Status int          `hcl:"status,optional" json:"status"` // the right one
}

// latency is how long a page takes.
type latency struct {
	noProbe
	Stack lab.StackRef `hcl:"stack" json:"stack"` // which serves it
	URL   lab.URL      `hcl:"url" json:"url"`     // where
	P95   lab.Limit    `hcl:"p95" json:"p95"`     // of all requests
}

// logged is a line in a log.
type logged struct {
	noProbe
	Stack   lab.StackRef    `hcl:"stack" json:"stack"`                // whose
	Service lab.ServiceName `hcl:"service" json:"service"`            // which writes
	Match   lab.Pattern     `hcl:"match" json:"match"`                // what
	AtLeast int             `hcl:"at_least,optional" json:"at_least"` // lines
}

// command is the code of a command.
type command struct {
	noProbe
	Machine lab.MachineRef  `hcl:"machine,optional" json:"machine,omitempty"` // where
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"` // who
	Run     []string        `hcl:"run" json:"run"`                            // what
	Number  float64         `hcl:"number,optional" json:"number,omitempty"`   // any
}

// lonely looks a service up in no stack.
type lonely struct {
	noProbe
	Machine lab.MachineRef  `hcl:"machine" json:"machine"`                    // where
	Service lab.ServiceName `hcl:"service,optional" json:"service,omitempty"` // which
}

// trend is how numbers of others go.
type trend struct {
	noProbe
	Of  chosen  `hcl:"of,block" json:"of"`             // what
	Per *chosen `hcl:"per,block" json:"per,omitempty"` // of what
	Up  bool    `hcl:"up,optional" json:"up"`          // whether it rises
}

func (c *trend) Check() []lab.Problem {
	if p, ok := c.Of.Look.(*page); ok && p.Status == 0 {
		return []lab.Problem{{Attr: "of.status", Summary: "No status", Detail: "There is always one."}}
	}
	return nil
}

type chosen struct {
	Kind   string       `hcl:"kind,label" json:"kind"`     // of assertion
	Number string       `hcl:"number,label" json:"number"` // of it
	Look   lab.Observer `json:"look"`
}

func (c *chosen) Choices() []string { return []string{"http", "command", "lonely"} }

func (c *chosen) Choose(kind string) (any, bool) {
	switch kind {
	case "http":
		c.Look = &page{Status: 200}
	case "command":
		c.Look = &command{}
	case "lonely":
		c.Look = &lonely{}
	default:
		return nil, false
	}
	return c.Look, true
}

// readCompose stands for the stack package. Each line of its files is a service and its published ports, "app: 3000";
// a line that begins with "bad" is a mistake.
func readCompose(dir string, s lab.Stack) (lab.Stack, error) {
	src, err := os.ReadFile(filepath.Join(dir, string(s.Compose)))
	if err != nil {
		return s, err
	}
	var problems []error
	sc := bufio.NewScanner(bytes.NewReader(src))
	for line := 1; sc.Scan(); line++ {
		text, _, _ := strings.Cut(sc.Text(), "#")
		text = os.Expand(text, func(name string) string { return s.Env[name] })
		name, rest, ok := strings.Cut(text, ":")
		switch {
		case strings.HasPrefix(text, "bad"):
			problems = append(problems, &lab.PlaceError{
				Pos: lab.Pos{File: string(s.Compose), Line: line, Column: 1}, Summary: "Bad line", Detail: "It is bad.",
			})
		case strings.HasPrefix(text, "nowhere"):
			problems = append(problems, errors.New("something is wrong somewhere"))
		case ok:
			v := lab.Service{Name: name, Container: s.Name + "_" + name + "_1"}
			for _, p := range strings.Fields(rest) {
				n, _ := strconv.Atoi(p)
				v.Ports = append(v.Ports, n)
			}
			s.Services = append(s.Services, v)
		}
	}
	return s, errors.Join(problems...)
}
