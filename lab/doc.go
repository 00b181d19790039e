// Package lab says what a lab is: its nouns and the small interfaces between the rooms of saigen.
//
// It imports the standard library only. It does not know HCL, podman, QEMU or a terminal: labfile fills its
// structs, runner executes them, drivers, faults and assertions implement its interfaces.
package lab
