// Package guest is the agent inside a machine and the host's side of it.
//
// The agent is the same binary as saigen. It runs commands in a real session of an account, writes files, makes the
// accounts, and runs the looks of probes where they are measured. Host and agent speak over one long-lived
// connection per machine that can be anything that reads and writes bytes: a unix socket in a system container, a
// virtio-serial port in a VM, the standard streams of ssh. What is underneath may outlive a connection: link.go has what
// keeps the next one free of the bytes of the last.
//
// It must not know who starts machines, what a lab file looks like, or what is judged from what it observes.
package guest
