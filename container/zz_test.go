package container

import (
	"context"
	"log/slog"
	"os"

	"github.com/saigen-lab/saigen/image"
	"github.com/saigen-lab/saigen/lab"
)

func pinned(d *Driver, l *lab.Lab) bool {
	root := os.Getenv("PIN_ROOT")
	if root == "" {
		return false
	}
	svc, err := image.New("/tmp/container-spike/cache", slog.New(slog.DiscardHandler)).ServiceStore(context.Background(), nil, func(string, ...any) {})
	if err != nil {
		panic(err)
	}
	all := map[string]stores{}
	for _, m := range l.Machines {
		all[m.Name] = stores{machine: root, ref: os.Getenv("PIN_REF"), services: svc, built: image.Built{Hash: "0123456789abcdef", Tar: os.Getenv("PIN_TAR")}}
	}
	d.prepared[l] = all
	return true
}
