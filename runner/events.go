package runner

import (
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Event is one thing that happened in a run. Events are what people and machines watch: the terminal, plain lines,
// JSON lines and the run's events.jsonl are all made of them.
type Event struct {
	At      time.Time     `json:"at"`
	Type    EventType     `json:"type"`
	Variant string        `json:"variant,omitempty"` // "debian:bookworm trigger:port_taken"
	Trial   int           `json:"trial,omitempty"`   // 1 is the first repetition
	Arm     string        `json:"arm,omitempty"`     // "control" or "fault"
	Phase   string        `json:"phase,omitempty"`   // see Phase
	Subject string        `json:"subject,omitempty"` // the address that it is about: "symptom.log.no_route"
	Text    string        `json:"text,omitempty"`    // for people, one line, no trailing stop
	Hint    string        `json:"hint,omitempty"`    // what to look at or do
	Tail    string        `json:"tail,omitempty"`    // last lines of output that explain a failure
	Budget  time.Duration `json:"budget,omitempty"`  // how long the step that begins may take, in nanoseconds

	Observation *lab.Observation `json:"-"` // with Observed; kept in observations.jsonl, not among the events
	Holds       bool             `json:"holds,omitempty"`
	Folder      string           `json:"folder,omitempty"`  // with TrialStarted: of the trial, in the run's
	Trials      int              `json:"trials,omitempty"`  // with RunStarted: how many there may be: variants times repetitions
	Seed        uint64           `json:"seed,omitempty"`    // with RunStarted: of the order of the trials; 0: as declared
	Until       float64          `json:"until,omitempty"`   // with RunStarted: the confidence at which the trials of a variant end; 0: there are as many as that
	Outcome     *Outcome         `json:"outcome,omitempty"` // with TrialEnded
	Summary     *Summary         `json:"summary,omitempty"` // with RunEnded
}

// EventType names what happened.
type EventType string

// The events of a run, in the order in which they can come.
const (
	DriverChosen EventType = "driver_chosen" // Subject: its name; Text: why saigen chose it, empty when it was asked for
	RunStarted   EventType = "run_started"
	Prepared     EventType = "prepared" // Text: what is ready, when that took more than a second: "image.host, image.app, 31.2 s"
	TrialStarted EventType = "trial_started"
	ArmStarted   EventType = "arm_started"
	PhaseStarted EventType = "phase_started"
	Step         EventType = "step"     // something begins or is told by a fault, a driver or a remedy
	Observed     EventType = "observed" // one observation arrived; Holds is the assertion's state after it
	Appeared     EventType = "appeared" // a symptom holds for the first time in this phase
	Broken       EventType = "broken"   // an invariant does not hold
	PhaseEnded   EventType = "phase_ended"
	ArmEnded     EventType = "arm_ended"
	Warning      EventType = "warning"
	Failed       EventType = "failed" // the trial cannot go on: Text, Hint and Tail say why
	TrialEnded   EventType = "trial_ended"
	Leaked       EventType = "leaked" // something of the run is left on the host; Hint: the command that removes it
	RunEnded     EventType = "run_ended"
	Compared     EventType = "compared" // after runs on several drivers: Text says of a variant of the lab Subject whether its verdict depends on them, Holds that it does not
)

// Sink receives events, one at a time, in order. It must not block for long.
type Sink interface {
	Event(Event)
}
