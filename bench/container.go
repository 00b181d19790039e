package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/saigen-lab/saigen/container"
	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
)

// engineScript is the by-hand engine.
func (w *work) script(name string) string {
	return filepath.Join(w.repository, "bench", "testdata", name)
}

func measureContainer(ctx context.Context, w *work) (err error) {
	l, err := w.lab()
	if err != nil {
		return err
	}
	l = alone(l)
	p := w.places(container.Undoers()...)
	defer p.close()
	var built image.Built
	d := container.New(container.Options{
		Self: w.self, Images: w.images, Runtime: p.runtime(), Scratch: p.scratch, Ledger: p.ledger, Log: w.log,
		Built: func(_ *lab.Lab, b image.Built) { built = b },
	})
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	if err := d.Prepare(ctx, l, w.say); err != nil {
		return err
	}
	store, ref, err := w.images.MachineStore(ctx, built, w.say)
	if err != nil {
		return err
	}
	byHand := fmt.Sprintf(`podman run --detach --quiet --name m --systemd=always --privileged --network none %s /sbin/init >/dev/null
until podman exec m systemctl is-system-running --wait 2>/dev/null | grep -qxE 'running|degraded'; do :; done`, ref)
	const gone = "podman stop --time 0 m >/dev/null 2>&1; podman rm --force m >/dev/null"

	start := func(id lab.RunID) (lab.Running, float64, error) {
		began := time.Now()
		m, err := d.Start(ctx, id, l, l.Machines[0])
		return m, time.Since(began).Seconds(), err
	}
	n := w.few(10)
	return turns(ctx, n, func(i int) error {
		id := lab.RunID(fmt.Sprintf("bench-%d", i))
		m, took, err := start(id)
		if err != nil {
			return err
		}
		w.saigenTook("start-first", took)
		if err := m.Destroy(ctx); err != nil {
			return err
		}
		if m, took, err = start(id); err != nil {
			return err
		}
		w.saigenTook("start", took)
		w.say("saigen's machine %d of %d is up after %.2f s", i+1, n, took)
		err = timed(200/n, func() error { return command(ctx, m, "true") }, func(v float64) { w.saigenTook("trip-container", v) })
		return errors.Join(err, d.Release(ctx, id))
	}, func(i int) (err error) {
		began := time.Now()
		s, err := newShell(w.script("engine.sh"), filepath.Join(w.dir, fmt.Sprint("e", i)), store, "sh")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.end()) }()
		if _, err := s.do(ctx, byHand); err != nil {
			return err
		}
		w.handTook("start-first", time.Since(began).Seconds())
		if _, err := s.do(ctx, gone); err != nil {
			return err
		}
		began = time.Now()
		if _, err := s.do(ctx, byHand); err != nil {
			return err
		}
		w.handTook("start", time.Since(began).Seconds())
		w.say("machine %d of %d by hand is up after %.2f s", i+1, n, time.Since(began).Seconds())
		err = timed(50/n, func() error { _, err := s.do(ctx, "podman exec m true"); return err }, func(v float64) { w.handTook("trip-container", v) })
		if err != nil {
			return err
		}
		_, err = s.do(ctx, gone)
		return err
	})
}

// timed calls f and tells each time how long that took.
func timed(n int, f func() error, took func(seconds float64)) error {
	for range max(1, n) {
		began := time.Now()
		if err := f(); err != nil {
			return err
		}
		took(time.Since(began).Seconds())
	}
	return nil
}
