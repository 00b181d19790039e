package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// A rate is judged by all trials together: other verdicts among them are no failure when it was met.
func TestSummaryOfRate(t *testing.T) {
	for _, c := range []struct {
		name     string
		good     int
		bad      int
		want     []string
		wantNone string
	}{
		{"met", 20, 5, []string{"as expected", "20 of 25 as expected (99 % interval: ", "(99 % interval: 0.54 to 0.93), as the rate must be >= 0.5"}, "never appeared"},
		{"missed", 0, 10, []string{"not as expected", "0 of 10 as expected", "the rate must be >= 0.5", "never appeared"}, "more trials"},
		{"undecided", 2, 1, []string{"inconclusive", "more trials are needed"}, "not as expected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all []*runner.Outcome
			for i := range c.good + c.bad {
				o := &runner.Outcome{Lab: "l", Verdict: lab.Reproduced, Expect: lab.Reproduced, Rate: ">= 0.5", Because: "absent and present"}
				if i >= c.good {
					o.Verdict, o.Because = lab.NotReproduced, "never appeared"
				}
				all = append(all, o)
			}
			var out bytes.Buffer
			Summary(&out, Style{Width: 200}, runner.Gate{Until: 0.99}.Summarise("l", "r", all))
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in:\n%s", want, &out)
				}
			}
			if strings.Contains(out.String(), c.wantNone) {
				t.Errorf("%q in:\n%s", c.wantNone, &out)
			}
		})
	}
}
