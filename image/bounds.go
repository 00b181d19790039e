package image

import (
	"context"
	"fmt"
	"time"
)

// Bounds of the making of one image, whatever it is made of: what a registry or an archive sends is as much as it likes.
const (
	imageTime  = 2 * time.Hour
	imageSize  = 32 << 30 // bytes in the folder in which it is made
	imageEvery = 5 * time.Second
)

// bounded builds within the bounds, or says which of them it was.
func bounded(ctx context.Context, dir string, build func(ctx context.Context) error) error {
	return boundedBy(ctx, dir, imageTime, imageSize, imageEvery, build)
}

func boundedBy(ctx context.Context, dir string, most time.Duration, size int64, every time.Duration, build func(ctx context.Context) error) error {
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(most, func() { cancel(fmt.Errorf("it took more than %s", most)) })
	defer timer.Stop()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				// An error is of what is being written or removed; the next look will tell.
				if now, _ := diskUse(dir); now > size {
					cancel(fmt.Errorf("it takes more than %d MiB", size>>20))
				}
			}
		}
	}()
	err := build(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return context.Cause(limited)
	}
	return err
}
