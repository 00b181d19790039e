package faults

import (
	"embed"
	"io/fs"

	"github.com/saigen-lab/saigen/lab"
)

// Kinds is the table of all faults, each with its defaults.
func Kinds() []lab.Kind[lab.Breaker] {
	return []lab.Kind[lab.Breaker]{
		{Name: "command", New: func() lab.Breaker { return &Command{} }},
		{Name: "container_churn", New: func() lab.Breaker { return &ContainerChurn{Rounds: 3, At: "100ms"} }},
		{Name: "leaky_agent", New: func() lab.Breaker { return &LeakyAgent{Batch: 1, Clients: 1} }},
		{Name: "limits", New: func() lab.Breaker { return &Limits{} }},
		{Name: "login", New: func() lab.Breaker { return &Login{Timeout: "2m"} }},
		{Name: "logout", New: func() lab.Breaker { return &Logout{} }},
		{Name: "package_remove", New: func() lab.Breaker { return &PackageRemove{} }},
		{Name: "port_taken", New: func() lab.Breaker { return &PortTaken{Protocol: TCP} }},
		{Name: "process_kill", New: func() lab.Breaker { return &ProcessKill{Signal: "KILL", Timeout: "20s"} }},
		{Name: "redeploy", New: func() lab.Breaker { return &Redeploy{} }},
		{Name: "session_break", New: func() lab.Breaker { return &SessionBreak{By: ByFailedStart} }},
		{Name: "session_kill", New: func() lab.Breaker { return &SessionKill{Rounds: 3} }},
		{Name: "sysctl", New: func() lab.Breaker { return &Sysctl{} }},
	}
}

//go:embed *.go
var sources embed.FS

// Sources returns this package's own Go files: the comments in them are the manual of the kinds.
func Sources() fs.FS { return sources }
