package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/runner"
)

// However many parts there are: together they are everything, each variant once, and they are of one size.
func TestShards(t *testing.T) {
	var labs []*lab.Lab
	for i := range 23 {
		labs = append(labs, &lab.Lab{Name: fmt.Sprint(i)})
	}
	for n := 1; n <= 30; n++ {
		seen := map[string]int{}
		least, most := len(labs), 0
		for i := 1; i <= n; i++ {
			for range 2 { // the same each time
				s, err := parseShard(fmt.Sprintf("%d/%d", i, n))
				if err != nil {
					t.Fatal(err)
				}
				mine := append(s.take(labs[:7]), s.take(labs[7:])...) // of two labs
				least, most = min(least, len(mine)), max(most, len(mine))
				for _, l := range mine {
					seen[l.Name]++
				}
			}
		}
		for _, l := range labs {
			if seen[l.Name] != 2 {
				t.Errorf("%d parts: variant %s is in %d", n, l.Name, seen[l.Name]/2)
			}
		}
		if most-least > 1 {
			t.Errorf("%d parts of %d to %d variants", n, least, most)
		}
	}
	for _, wrong := range []string{"0/3", "4/3", "1", "1/", "/2", "a/b", "1/0", "-1/2"} {
		if _, err := parseShard(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// Every page with a table of exit codes has those of the code, and no others.
func TestExitCodesAreDocumented(t *testing.T) {
	want := []int{runner.ExitExpected, runner.ExitUnexpected, runner.ExitUsage, runner.ExitInconclusive, runner.ExitInterrupted}
	row := regexp.MustCompile(`(?m)^\| (\d+) \| `)
	for _, page := range []string{"ci.md", "verdicts.md", "commands.md"} {
		data, err := os.ReadFile(filepath.Join(repository(), "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, m := range row.FindAllSubmatch(data, -1) {
			code, _ := strconv.Atoi(string(m[1]))
			got = append(got, code)
		}
		if !slices.Equal(got, want) {
			t.Errorf("docs/%s has %v, the code %v", page, got, want)
		}
	}
}
