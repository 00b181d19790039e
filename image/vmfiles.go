package image

import (
	"path"
	"slices"
	"strings"
)

// vmMasked are units that are of no use where the initial RAM disk has done their work, or that serve nobody in a
// machine without hardware. Each costs a process, and without KVM a process costs a tenth of a second.
var vmMasked = []string{
	"dev-hugepages.mount", "kmod-static-nodes.service", "modprobe@.service", "proc-sys-fs-binfmt_misc.automount",
	"sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
	"systemd-ask-password-console.path", "systemd-ask-password-wall.path", "systemd-binfmt.service", "systemd-hwdb-update.service",
	"systemd-random-seed.service", "systemd-remount-fs.service", "systemd-tmpfiles-setup-dev.service", "systemd-tmpfiles-setup-dev-early.service",
	"systemd-update-utmp-runlevel.service",
}

// vmNoGenerators look, at every boot and reload, for hardware and boot loaders that a VM of saigen does not have.
var vmNoGenerators = []string{
	"systemd-bless-boot-generator", "systemd-cryptsetup-generator", "systemd-debug-generator", "systemd-getty-generator",
	"systemd-gpt-auto-generator", "systemd-hibernate-resume-generator", "systemd-integritysetup-generator", "systemd-run-generator",
	"systemd-system-update-generator", "systemd-veritysetup-generator",
}

// vmRestartUnit: tmpfiles makes root's folder for containers at every boot; this file is there when root ever had one.
const vmRestartUnit = "[Unit]\nConditionPathExistsGlob=/var/lib/containers/storage/*-containers/containers.json\n"

// vmAgentUnit: the agent needs nothing but a writable /run, which systemd mounts before any unit.
const vmAgentUnit = "[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\nBefore=shutdown.target\n"

// vmModulesUnit: without this library, which trixie's systemd loads when it is there, the unit can only fail.
const vmModulesUnit = "[Unit]\nConditionPathExistsGlob=/usr/lib/*/libkmod.so.2\n"

// vmFiles are what a VM's disk has besides its image and the kernel's modules.
func vmFiles() []file {
	all := []file{
		{name: "etc/fstab", mode: 0o644, data: []byte("# The initial RAM disk mounts everything.\n")},
		{name: "etc/systemd/system/podman-restart.service.d/vm.conf", mode: 0o644, data: []byte(vmRestartUnit)},
		{name: "etc/systemd/system/saigen-agent.service.d/vm.conf", mode: 0o644, data: []byte(vmAgentUnit)},
		{name: "etc/systemd/system/systemd-modules-load.service.d/vm.conf", mode: 0o644, data: []byte(vmModulesUnit)},
		{name: "etc/systemd/system/sysinit.target.wants/saigen-agent.service", link: "/etc/systemd/system/saigen-agent.service"},
	}
	for _, unit := range vmMasked {
		all = append(all, file{name: path.Join("etc/systemd/system", unit), link: "/dev/null"})
	}
	for _, generator := range vmNoGenerators {
		all = append(all, file{name: path.Join("etc/systemd/system-generators", generator), link: "/dev/null"})
	}
	slices.SortFunc(all, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return all
}
