// Package examples holds what the pages of docs/ show of code: each excerpt there is of a file, and tests compile, run and validate
// the files.
package examples
