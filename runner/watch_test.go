package runner_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
	"github.com/saigen-lab/saigen/runner"
)

// asked counts how often it is judged.
type asked struct {
	lab.Observer
	times *atomic.Int64
}

func (a asked) Holds(history []lab.Observation) bool {
	a.times.Add(1)
	return a.Observer.Holds(history)
}

// Looks are judged as they come, and for the verdict; not all of them again at each that comes while one is waited for, which would
// keep the host from hearing of the next.
func TestLooksAreJudgedAsTheyCome(t *testing.T) {
	t.Parallel()
	var times, looks atomic.Int64
	symptom := reading("symptom", "sick", "over 0")
	symptom.Do, symptom.Within = asked{symptom.Do, &times}, "1s"
	l := &lab.Lab{Symptoms: []lab.Assertion{symptom}, Faults: []lab.Fault{fault(labtest.Switch{Value: "other", To: 1})}}
	sink := &seen{each: func(e runner.Event) {
		if e.Type == runner.Observed {
			looks.Add(1)
		}
	}}
	o := run(t, context.Background(), &labtest.Driver{}, l, t.TempDir(), 1, sink).Outcomes[0]
	if o.Verdict != lab.NotReproduced {
		t.Fatalf("%s: %s", o.Verdict, o.Because)
	}
	// Once when it comes, and for the verdict in the phase that it belongs to, which of the fault arm's last is asked for thrice.
	if most := 5 * looks.Load(); times.Load() > most {
		t.Errorf("%d looks were judged %d times, more than %d", looks.Load(), times.Load(), most)
	}
}
