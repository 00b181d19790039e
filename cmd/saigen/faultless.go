package main

import "github.com/saigen-lab/saigen/lab"

// withoutFaults are labs whose faults are replaced by nothing: every symptom must stay away in both arms, or it is not the
// faults that make it. What the lab expects of its faults, and its remedies, mean nothing then.
func withoutFaults(labs []*lab.Lab) []*lab.Lab {
	var out []*lab.Lab
	for _, l := range labs {
		bare := *l
		bare.Faults, bare.Remedies = nil, nil
		bare.Expect, bare.Rate = lab.NotReproduced, ""
		out = append(out, &bare)
	}
	return out
}
