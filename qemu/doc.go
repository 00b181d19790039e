// Package qemu is the driver that runs machines as virtual machines, with or without KVM, as root or as a normal user who
// is in no special group. It is the only room that knows QEMU's command line and its monitor.
//
// A machine is one process of the user's. What belongs to it lies in the run's folders; nothing else of the host is
// touched: no network, no daemon, no device but /dev/kvm where that works. Machines can be saved when they are ready,
// and started again from there in a fraction of a second: the memory that was saved is a file, which every copy maps privately.
// It must not know what a machine is used for: no labs' faults, no stacks.
package qemu
