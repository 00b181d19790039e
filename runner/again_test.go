package runner_test

import (
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// A remedy that was never tried is not passed over in silence.
func TestUntriedRemedies(t *testing.T) {
	l := &lab.Lab{Remedies: []lab.Remedy{{Name: "restart"}, {Name: "pray"}}}
	for _, c := range []struct {
		verdict lab.Verdict
		tried   []runner.RemedyResult
		want    string
	}{
		{lab.Reproduced, nil, "never tried, because a symptom was missing when the lab was run: restart, pray"},
		{lab.Reproduced, []runner.RemedyResult{{Name: "restart"}}, "run: pray"},
		{lab.Reproduced, []runner.RemedyResult{{Name: "restart"}, {Name: "pray"}}, ""},
		{lab.NotReproduced, nil, ""},
	} {
		got := (&runner.Trial{}).Unwatched(l, &runner.Outcome{Verdict: c.verdict, Remedies: c.tried})
		if !strings.HasSuffix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s, tried %v: %q", c.verdict, c.tried, got)
		}
	}
}
