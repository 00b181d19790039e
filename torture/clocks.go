package main

import (
	"context"
)

// clocks has a machine's clock set in the middle of an arm. The host's, which containers share, is nobody's to set.
func clocks(ctx context.Context, h *host) (figures, error) {
	path, err := h.lab(deathLab)
	if err != nil {
		return nil, err
	}
	const forth, back = `date --set="@$(($(date +%s) + 3600))"`, `date --set="@$(($(date +%s) - 3600))"`
	var all []disaster
	for _, m := range moments() {
		if m.name != "the injection" && m.name != "the fault" && m.name != "the soak" {
			continue
		}
		for name, line := range map[string]string{
			"the machine's clock is set forth": forth, "the machine's clock is set back": back,
			"the machine's clock is set forth and back": forth + "; sleep 1; " + back, "the machine's clock is set back and forth": back + "; sleep 1; " + forth,
		} {
			all = append(all, disaster{name: name, driver: "qemu", moment: m, judge: poor("the clock of machine.web slipped"), strike: inIt(line)})
		}
	}
	return h.disasters(ctx, path, inOrder(all))
}

// inIt runs a line of shell in the machine of the fault arm.
func inIt(line string) func(ctx context.Context, h *host, p *process) (func() error, error) {
	return func(ctx context.Context, h *host, p *process) (func() error, error) {
		_, err := inMachine(line)(ctx, h, p.run())
		return nil, err
	}
}
