// Package labfile reads, checks and formats lab files. It is the language of saigen.
//
// It turns the one HCL file of a lab's folder, with the files that it includes, into one fully evaluated lab.Lab for
// every variant, or into all the mistakes that are in it, each at its place. It starts nothing, asks no network and
// looks at nothing of the host but the lab's own files.
//
// It is the only room that knows HCL. It does not know what a kind does, what a compose file looks like (a
// StackReader tells it) or how anything is run. docs/lab-language.md is the manual of what is decided here.
package labfile
