package qemu

import (
	"context"
	"errors"
	"fmt"

	"github.com/saigen-lab/saigen/driver"
	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// errStopped says why there is no point in waiting for the agent.
var errStopped = errors.New("the machine has stopped")

func (v *vmachine) readiness(l *lab.Lab, m lab.Machine) []driver.Requirement {
	return []driver.Requirement{
		{
			What: "saigen's agent answers",
			Hint: "the image starts it as saigen-agent.service; the console says whether the kernel and systemd came up",
			Wait: v.dial,
		},
		{
			What: "its names, addresses and clock are set",
			Hint: "ip in the machine shows its links: a lab with several machines has eth0",
			Wait: func(ctx context.Context) error { return v.setUp(ctx, l, m) },
		},
		driver.Booted("image", v.Run),
		driver.Accounts(func(ctx context.Context) error { return v.guest.AddAccounts(ctx, m.Accounts) }),
	}
}

// dial connects to the agent, as long as the machine runs.
func (v *vmachine) dial(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-v.process.ended:
			cancel(errStopped)
		case <-ctx.Done():
		}
	}()
	g, err := guest.DialPort(ctx, v.sock)
	if err != nil {
		if errors.Is(context.Cause(ctx), errStopped) {
			return errStopped
		}
		return err
	}
	v.guest = g
	return nil
}

// setUp gives the machine what the container driver gives by volumes and its engine.
func (v *vmachine) setUp(ctx context.Context, l *lab.Lab, m lab.Machine) error {
	for path, text := range map[string]string{"/etc/hosts": hosts(l, m.Name), "/etc/resolv.conf": resolvConf} {
		if err := v.guest.Put(ctx, lab.File{Path: path, Data: []byte(text), Mode: 0o644}); err != nil {
			return err
		}
	}
	// A machine that boots reads whole seconds from its clock, and without KVM it takes seconds to do so.
	if err := v.guest.Resume(ctx, 0); err != nil || len(l.Machines) < 2 {
		return err
	}
	address := fmt.Sprintf("%s/%d", addressOf(numberOf(l, m.Name)), prefixLength)
	cmd := lab.Command{Argv: []string{"sh", "-c", "ip address add " + address + " dev eth0 && ip link set eth0 up"}}
	res, err := v.guest.Run(ctx, cmd)
	if err != nil {
		return err
	}
	return res.Err(cmd)
}
