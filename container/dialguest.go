package container

import (
	"context"

	"github.com/saigen-lab/saigen/guest"
)

// dialGuest connects to the agent in a machine.
func dialGuest(ctx context.Context, socket string) (agent, error) {
	c, err := guest.Dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	return c, nil
}
