package main

import "context"

// unit is what a line's figures are in.
type unit string

const (
	seconds unit = "s"
	bytes   unit = "B"
)

// statistic is what of a line's figures a budget limits.
type statistic string

const (
	middle statistic = "median"
	p95    statistic = "p95"
	most   statistic = "each"
	ratio  statistic = "ratio"
)

// budget limits one statistic, in the line's unit; a ratio is to what is done by hand.
type budget struct {
	of   statistic
	most float64
}

// line is one line of the table.
type line struct {
	name    string // what -only takes, or that of its group
	what    string
	unit    unit
	budgets []budget
	saigen  string // what is measured
	hand    string // what stands beside it
	rest    string // what is left where a budget is not met
}

// group are lines that are measured together.
type group struct {
	name    string
	lines   []line
	lacks   func() string // why it cannot be measured on this host; "": it can; nil: it always can
	measure func(ctx context.Context, w *work) error
}

func linesOf(groups []group) []line {
	var all []line
	for _, g := range groups {
		all = append(all, g.lines...)
	}
	return all
}

// allGroups is the table: the budget is that of the design, in its order, and then what the design has no budget for.
func allGroups() []group {
	return []group{
		{
			name: "container", measure: measureContainer, lacks: lacks("podman", "runc"),
			lines: []line{
				{
					name: "start", what: "system container: start → systemd running and agent answers", unit: seconds, budgets: []budget{{middle, 1}},
					saigen: "from the driver's Start until it has returned, with the engine running: the agent answers, systemd has finished booting.",
					hand:   "`podman run --systemd=always` of the same image in an engine of the same kind, until `systemctl is-system-running --wait` says so.",
				},
				{
					name: "start-first", what: "the same, the engine too", unit: seconds,
					saigen: "the first machine of an arm, for which the driver starts its private engine.",
					hand:   "the namespaces, the cgroup and the configuration of such an engine, and `podman run` as above.",
				},
				{
					name: "trip-container", what: "command round trip, container", unit: seconds, budgets: []budget{{middle, 0.002}},
					saigen: "`true` through the agent, as root.",
					hand:   "`podman exec MACHINE true`.",
				},
			},
		},
		{
			name: "vm", measure: measureVM, lacks: lacks("qemu-system-x86_64", "qemu-img"),
			lines: []line{
				{
					name: "boot", what: "VM: cold boot → agent answers", unit: seconds, budgets: []budget{{ratio, 1.2}},
					saigen: "from the driver's Start until a second client of the agent has had its first command answered.",
					hand:   "QEMU with the same arguments, kernel and disk. In place of the agent, by the same unit, a shell on a serial console is started; until it has answered the same command.",
				},
				{
					name: "restore", what: "VM: restore → first command answered", unit: seconds, budgets: []budget{{middle, 0.25}, {p95, 0.5}},
					saigen: "a machine with both stacks of the lab up, from the driver's Restore until the first command after it has been answered: the clock is set, random numbers are fresh.",
					hand:   "QEMU with the same arguments and the same saved state (memory in a file, mapped privately; device state by `migrate_incoming` in its monitor; an overlay by qemu-img), until a shell on the serial console of that machine has answered the same command.",
					rest:   "without KVM, QEMU translates anew whatever the machine executes when it goes on, by hand too. The rest is what QEMU itself takes to start, and what the step of the clock wakes in the machine (systemd).",
				},
				{
					name: "restore-loaded", what: "the same of a VM that was loaded ahead", unit: seconds, budgets: []budget{{middle, 0.25}, {p95, 0.5}},
					saigen: "as above, but the driver's Load came before: the machine has gone on until it had answered a command, and is stopped. In a run, the next arm is loaded while the one before it ends.",
					hand:   "the same: QEMU has read its state, went on until the shell had answered, and was stopped.",
					rest:   "what the machine executes until its first process has ended.",
				},
				{
					name: "trip-vm", what: "command round trip, VM", unit: seconds, budgets: []budget{{middle, 0.005}},
					saigen: "`true` through the agent, as root: a process is started in the machine.",
					hand:   "`/bin/true` in the shell on the serial console, which starts a process too.",
					rest:   "without KVM, this is what a process takes to start in the machine, as it does by hand; the agent's part is the line below.",
				},
				{
					name: "trip-vm-agent", what: "round trip to the agent alone, VM", unit: seconds,
					saigen: "a question that the agent answers itself (its clock), without a process.",
					hand:   "`:` in the shell on the serial console.",
				},
				{
					name: "clone-memory", what: "each further clone of a snapshot: private memory", unit: bytes, budgets: []budget{{most, 120e6}},
					saigen: "ten clones at once, each after its first command: what `smaps_rollup` says is private to its QEMU, clean and dirty.",
					hand:   "the same of a QEMU that was restored by hand, beside the others.",
				},
				{
					name: "clone-disk", what: "each further clone of a snapshot: disk", unit: bytes, budgets: []budget{{most, 50e6}},
					saigen: "what each of the ten clones occupies in the run's folder.",
					hand:   "the overlay that qemu-img made.",
				},
			},
		},
		{
			name: "lab", measure: measureLab, lacks: lacks("podman", "runc", "curl", "dig", "perl"),
			lines: []line{{
				name: "lab", what: "a whole lab against a shell script that does the same steps", unit: seconds, budgets: []budget{{ratio, 1.1}},
				saigen: "`saigen run " + theLab + " --driver container`: images are there.",
				hand:   "`bench/testdata/stale-dns.sh`: two machines, the same stacks, fault, probes (dig, curl, the log) at the same pace, remedies and soaks; it fails when it does not see the symptoms come and go.",
			}},
		},
		{
			name: "again-container", measure: func(ctx context.Context, w *work) error { return w.again(ctx, "container") }, lacks: lacks("podman", "runc", "mmdebstrap"),
			lines: []line{{
				name: "again-container", what: "the same lab run again, container", unit: seconds, budgets: []budget{{ratio, 0.3}},
				saigen: "`saigen run " + theLab + "` a second time.",
				hand:   "the first run, with an empty cache: it makes the images.",
				rest:   "the incident's own time: podman-compose 1.0.3 sleeps a second after each podman that it starts, podman 4.3.1 tries for seconds to get a port that is taken, each dead address costs a page three seconds, and every remedy is watched for a while.",
			}},
		},
		{
			name: "runs-qemu", measure: measureRunsQEMU, lacks: lacks("qemu-system-x86_64", "mmdebstrap"),
			lines: []line{
				{
					name: "again-qemu", what: "the same lab run again, VM", unit: seconds, budgets: []budget{{ratio, 0.3}},
					saigen: "`saigen run " + theLab + " --driver qemu` a second time: images and baseline are known.",
					hand:   "the first run, with an empty cache: it makes images, kernel and disks, boots, and saves the baseline.",
					rest:   "the incident's own time, as on containers, with every instruction emulated. The boot and the stacks, which the snapshot saves, are the smaller part.",
				},
				{
					name: "repeat", what: "each further repetition of a lab: restore → first command, VM", unit: seconds, budgets: []budget{{middle, 0.25}, {p95, 0.5}},
					saigen: "one `saigen run " + theLab + " --driver qemu --fresh --repeat N`, as its evidence has it: of every arm but the one that booted, from when it wants its machines until all of their agents have answered (the clock is set, random numbers are fresh), and take commands. Where VMs take turns for the host's cores, they were loaded while the arm before was ending; what an arm has to wait for that is counted.",
					hand:   "what each would take without the snapshot: the boot, the stacks and their readiness in the arm that made it.",
					rest:   "as for a restore alone.",
				},
			},
		},
		{
			name: "validate", measure: measureValidate,
			lines: []line{{
				name: "validate", what: "`saigen validate` of 100 labs", unit: seconds, budgets: []budget{{middle, 1}},
				saigen: "one `saigen validate` of a folder with 100 copies of " + labDir + ".",
				hand:   "one `saigen validate` for each of them, in a shell's loop.",
			}},
		},
		{
			name: "vagrant", measure: measureVagrant, lacks: lacks("vagrant", "virsh", "/usr/sbin/libvirtd", "/usr/sbin/dnsmasq"),
			lines: []line{{
				name: "vagrant", what: "Vagrant: a machine from a box", unit: seconds,
				saigen: "from the vagrant driver's Start until it has returned: the agent answers, systemd has finished booting.",
				hand:   "`vagrant box add` of the same box and `vagrant up` on the same libvirt, until `systemctl is-system-running --wait` through `vagrant ssh` has answered.",
			}},
		},
	}
}
