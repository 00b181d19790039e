package runner_test

import (
	"context"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// doubting never has seen enough.
type doubting struct{ *labtest.Reading }

func (doubting) Doubt(history []lab.Observation) string { return "1 look of at least 1000" }

// What was seen too little of to say that it is not there is no proof that the incident does not happen; another symptom
// that clearly never appeared is.
func TestDoubt(t *testing.T) {
	unsure := reading("symptom", "sick", "over 0")
	unsure.Do = doubting{unsure.Do.(*labtest.Reading)}
	for _, c := range []struct {
		name     string
		symptoms []lab.Assertion
		fault    string // what is set
		want     lab.Verdict
		because  string
	}{
		{"in doubt", []lab.Assertion{unsure}, "other", lab.Inconclusive, "symptom.fake.sick had seen too little: 1 look of at least 1000"},
		{"another one is clear", []lab.Assertion{unsure, reading("symptom", "clear", "over 0")}, "other", lab.NotReproduced, "symptom.fake.clear"},
		{"it appeared all the same", []lab.Assertion{unsure}, "sick", lab.Reproduced, "present with it"},
		{"without a fault", []lab.Assertion{unsure}, "", lab.NotReproduced, "symptom.fake.sick"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := &lab.Lab{Symptoms: c.symptoms}
			if c.fault != "" {
				l.Faults = []lab.Fault{fault(labtest.Switch{Value: c.fault, To: 1})}
			}
			o := run(t, context.Background(), &labtest.Driver{}, l, t.TempDir(), 1, &seen{}).Outcomes[0]
			if o.Verdict != c.want || !strings.Contains(o.Because, c.because) {
				t.Errorf("got %s (%s), want %s", o.Verdict, o.Because, c.want)
			}
		})
	}
}
