// Package assertions says what can be observed: one file per kind, and the table of them in kinds.go.
//
// An assertion is a struct whose fields are its settings. The comments on the struct and on its fields are the manual:
// `saigen kinds` prints them. Observe runs inside the machine and looks once; Holds is pure, so that stored evidence
// can be judged again. This room does not know podman, HCL or how a run goes: it sees a machine through lab.Place.
//
// A kind may tell how long one of its looks takes at most, with a method Longest() time.Duration, so that whoever
// limits looks does not cut one short that is merely slow.
package assertions
