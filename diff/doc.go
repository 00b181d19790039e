// Package diff says what differs: between two accounts of a machine, and between two runs. It also collects from a
// machine what explains a failure.
//
// Collecting and comparing are apart: both sides are lists of facts, most telling topic first, and the comparison is
// pure. It must not know where a machine comes from, how a lab is written, or what a terminal is.
package diff
