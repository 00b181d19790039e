package vagrant

import (
	"context"
	"path/filepath"
	"time"

	"github.com/saigen-lab/saigen/driver"
	"github.com/saigen-lab/saigen/lab"
)

// agent is what the driver uses of a connection to the agent inside a machine.
type agent interface {
	Run(ctx context.Context, cmd lab.Command) (lab.Result, error)
	Put(ctx context.Context, f lab.File) error
	Watch(ctx context.Context, p lab.Probe, each func(lab.Observation)) error
	Clock(ctx context.Context) (time.Duration, error)
	AddAccounts(ctx context.Context, accounts []lab.Account) error
	Resume(ctx context.Context, behind time.Duration) error
	Close() error
}

func (d *Driver) readiness(v *machine, m lab.Machine, p *prepared) []driver.Requirement {
	all := []driver.Requirement{{
		What: "saigen's agent answers",
		Hint: "vagrant ssh must work without a password, and sudo in the machine too",
		Wait: func(ctx context.Context) error {
			config := filepath.Join(v.sock, sshConfig)
			if _, ok := p.boots[m.Name]; !ok { // others have the agent since their boot
				if err := install(ctx, config, v.name, d.o.Self); err != nil {
					return err
				}
			}
			var err error
			v.guest, err = dial(ctx, config, v.name, d.dialTime)
			return err
		},
	}}
	if !p.foreign() {
		all = append(all, driver.Requirement{
			What: "it has its name",
			Hint: "/etc/hosts and /etc/hostname of the box must be files that root can write",
			Wait: v.callIt,
		})
	}
	all = append(all, driver.Booted("box", v.Run), driver.Requirement{
		What: "its clock is right", // a machine that boots reads whole seconds from its clock
		Hint: "a time service in the machine may set it to another time: timedatectl says what it is set by",
		Wait: func(ctx context.Context) error { return v.guest.Resume(ctx, 0) },
	})
	if disk, ok := p.services[m.Name]; ok {
		all = append(all, driver.Requirement{
			What: "the services' images are there",
			Hint: "the machine needs room for them in /var/lib/saigen, and the kernel module loop",
			Wait: func(ctx context.Context) error { return v.bringServices(ctx, disk) },
		})
	}
	return append(all, driver.Accounts(func(ctx context.Context) error { return v.guest.AddAccounts(ctx, m.Accounts) }))
}
