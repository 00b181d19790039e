// Package faults says what can be broken: one file per kind, and the table of them in kinds.go.
//
// A fault is a struct whose fields are its settings. The comments on the struct and on its fields are the manual: `saigen
// kinds` prints them. It works from the host's side, through lab.Env, and tells each step in plain words.
//
// What Inject did is kept in a file in the machine, so that Verify and Heal also work in another process. Verify looks at
// the cause (the start that failed, the manager that was killed), never at the symptom: that is the assertions' work.
// This room does not know drivers, HCL or how a run goes.
package faults
