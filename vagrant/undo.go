package vagrant

import (
	"context"
	"os"
	"path/filepath"

	"github.com/saigen-lab/saigen/ledger"
)

// KindEnvironment is the ledger's kind for an environment: its path is the environment's folder.
const KindEnvironment = "vagrant"

// Undoers is how a ledger removes what this driver has made.
func Undoers() []ledger.Option {
	return []ledger.Option{ledger.With(KindEnvironment, undo)}
}

// undo removes the machines of an environment, and all that carries its name. It was written down before it was made, so
// there may be nothing; and Vagrant may have been killed at any moment, so it is asked, and then looked after.
func undo(ctx context.Context, entry ledger.Entry) error {
	e, err := load(entry.Path)
	if err != nil || e == nil {
		return err
	}
	if e.log, err = os.OpenFile(filepath.Join(e.Dir, logName), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	defer e.log.Close()
	return e.removeAll(ctx)
}
