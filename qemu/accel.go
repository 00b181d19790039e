package qemu

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of the kernel's KVM interface, from linux/kvm.h.
const (
	kvmGetAPIVersion = 0xAE00
	kvmCreateVM      = 0xAE01
	kvmCreateVCPU    = 0xAE41
	kvmSupportedCPU  = 0xC008AE05 // KVM_GET_SUPPORTED_CPUID
	kvmAPIVersion    = 12
)

// modelFeatures is what leaf 1 of CPUID must have in ECX for cpuModel: SSE3, SSSE3, CX16, SSE4.1, SSE4.2 and POPCNT. Every
// processor that can run virtual machines has them. Some hosts have a KVM without such a processor, which can make
// a virtual machine and its processors, and then runs only kernels that were made for it: its processors lack them.
const modelFeatures = 1<<0 | 1<<9 | 1<<13 | 1<<19 | 1<<20 | 1<<23

// cpuid is struct kvm_cpuid2.
type cpuid struct {
	count, _ uint32
	entries  [256]struct {
		function, index, flags, eax, ebx, ecx, edx uint32
		_                                          [3]uint32
	}
}

// checkKVM makes a virtual machine with one processor, drops it, and asks for what processors can be had. That the device
// is there says nothing: the processor, or the host that this host is a guest of, may not let it work.
func checkKVM() error {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	version, err := unix.IoctlRetInt(int(f.Fd()), kvmGetAPIVersion)
	if err != nil {
		return fmt.Errorf("cannot ask /dev/kvm for its version: %w", err)
	}
	if version != kvmAPIVersion {
		return errors.New("/dev/kvm has another version than any that is known")
	}
	vm, err := unix.IoctlRetInt(int(f.Fd()), kvmCreateVM)
	if err != nil {
		return fmt.Errorf("cannot make a virtual machine with /dev/kvm: %w", err)
	}
	defer unix.Close(vm)
	vcpu, err := unix.IoctlRetInt(vm, kvmCreateVCPU)
	if err != nil {
		return fmt.Errorf("cannot make a processor with /dev/kvm: %w", err)
	}
	if err := unix.Close(vcpu); err != nil {
		return err
	}
	c := cpuid{count: uint32(len(cpuid{}.entries))}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), kvmSupportedCPU, uintptr(unsafe.Pointer(&c))); e != 0 {
		return fmt.Errorf("cannot ask /dev/kvm for its processors: %w", e)
	}
	for _, e := range c.entries[:c.count] {
		if e.function == 1 && e.ecx&modelFeatures == modelFeatures {
			return nil
		}
	}
	return errors.New("the processors that /dev/kvm makes are no " + cpuModel)
}

// The accelerators, as they are named in the key of a snapshot.
const (
	accelKVM = "kvm"
	accelTCG = "tcg"
)

// accelerator is the fastest that works here.
func accelerator() string {
	if checkKVM() == nil {
		return accelKVM
	}
	return accelTCG
}
