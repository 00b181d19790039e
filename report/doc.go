// Package report is what a run prints and leaves for readers: the live view of a terminal, plain lines for pipes and CI,
// JSON lines, JUnit, the summary at the end, the tables of the other commands, and report.html.
//
// It reads runner's events and outcomes and knows nothing else: no HCL, no machine. Only the HTML report reads files, those
// of a run's folder, so that old runs can be shown. Every printer writes to the io.Writer it is given, in the Style that
// cmd/saigen made from the terminal, the environment and the flags.
// Text that came out of a machine is cleaned of control characters before it is printed.
package report
