// Package runner executes a lab: it brings the machines of an arm to the baseline, samples every assertion from there to
// the arm's end, injects the faults, applies the remedies, and judges what was seen.
//
// It knows nouns and interfaces only: not HCL, not podman, not a terminal. What happens is told as Events; what was
// measured is kept as a Record, and Judge makes the verdict from the Record alone, so stored evidence can be judged again.
package runner
