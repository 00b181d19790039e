// Command bench measures what saigen costs: every line of the budget, beside the same thing done by hand in the same run. It
// prints a table, and writes docs/performance.md and the raw figures that it is made of.
//
// It is no test: a slow host makes no failure, and what is over its budget stands in the table as not met. Only what could
// not be measured makes it end with code 1. It uses saigen as its users do, through the command and the drivers, and must not
// reach into a room to be faster.
package main
