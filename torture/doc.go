// Command torture shows what saigen does when it is killed, and when what it needs breaks: every scenario of the table does so to
// the real binary, on real machines, and then looks whether anything is left on the host, whether what the cache keeps is intact,
// and whether the next run gives the right verdict. It prints a table, and writes docs/reliability.md and the figures that it is
// made of.
//
// It uses saigen as its users do, through the command alone. It must not reach into a room to break it at a place that cannot be
// reached from outside.
package main
