// Package stack is a compose project on a machine: it reads and checks the compose file when a lab is loaded, and has
// podman-compose run it as an account of a machine.
//
// It is the only importer of compose-go. It does not know HCL, drivers or faults; what it learns of a compose file it
// puts into lab.Stack.
package stack
