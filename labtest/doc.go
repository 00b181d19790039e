// Package labtest is a world for tests: a fake machine that the rest of saigen cannot tell from a real one, the fault and
// the assertion "fake" that change and read a named value of it, and the conformance suite that every driver must pass.
//
// The fake runs assertions in process, by the same code as a real machine's agent would. Its commands are a Go function.
// It imports lab alone: a test hands in the kinds that it wants.
package labtest
