package vagrant

import (
	"fmt"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// ruby makes text a literal of Ruby. Between single quotes only these two characters are special.
func ruby(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// block writes lines with their indent.
type block struct {
	strings.Builder
	depth int
}

func (b *block) line(format string, args ...any) {
	b.WriteString(strings.Repeat("  ", b.depth))
	fmt.Fprintf(&b.Builder, format+"\n", args...)
}

func (b *block) open(format string, args ...any) { b.line(format, args...); b.depth++ }
func (b *block) end()                            { b.depth--; b.line("end") }

func (b *block) provider(owner, name string, settings []string) {
	if len(settings) == 0 {
		return
	}
	b.open("%s.vm.provider %s do |v|", owner, ruby(name))
	for _, s := range settings {
		b.line("%s", s)
	}
	b.end()
}

// homeVagrantfile is the Vagrantfile in VAGRANT_HOME: what holds unless the environment's own says otherwise. It is what a
// team's Vagrantfile sees of saigen.
func homeVagrantfile(e *environment) string {
	var b block
	b.line("# Written by saigen. Vagrant reads it before the Vagrantfile of the environment.")
	b.open("Vagrant.configure('2') do |config|")
	b.line("config.vm.box_check_update = false")
	b.line("config.vm.synced_folder '.', '/vagrant', disabled: true")
	b.line("config.vm.boot_timeout = %d", int(bootTime.Seconds()))
	if !e.Foreign {
		// The machine's network leads nowhere, and a new key costs several logins; so does what Vagrant does to files of the
		// machine, which saigen's agent does in an instant.
		b.line("config.ssh.insert_key = false")
		b.line("config.vm.allow_fstab_modification = false")
		b.line("config.vm.allow_hosts_modification = false")
	}
	b.provider("config", e.Provider, e.provider.settings(e))
	b.end()
	return b.String()
}

// vagrantfile defines the lab's machines. boxes are theirs, by their names.
func vagrantfile(e *environment, l *lab.Lab, boxes map[string]box) string {
	var b block
	b.line("# Written by saigen for the lab %s.", l.Name)
	b.open("Vagrant.configure('2') do |config|")
	for i, m := range l.Machines {
		b.open("config.vm.define %s do |m|", ruby(m.Name))
		b.line("m.vm.box = %s", ruby(boxes[m.Name].name))
		if guest := boxes[m.Name].guest; guest != "" {
			b.line("m.vm.guest = %s", ruby(guest)) // Vagrant finds out by trying some thirty systems, one command each
		}
		own, settings := e.provider.machine(e, i, m)
		for _, s := range own {
			b.line("%s", s)
		}
		b.provider("m", e.Provider, settings)
		b.end()
	}
	b.end()
	return b.String()
}
