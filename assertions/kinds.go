package assertions

import (
	"embed"
	"io/fs"

	"github.com/saigen-lab/saigen/lab"
)

// Kinds is the table of all assertions, each with its defaults.
func Kinds() []lab.Kind[lab.Observer] {
	return []lab.Kind[lab.Observer]{
		{Name: "command", New: func() lab.Observer { return &Command{Timeout: "30s"} }},
		{Name: "container", New: func() lab.Observer { return &Container{State: StateRunning} }},
		{Name: "dns_answers", New: func() lab.Observer { return &DNSAnswers{} }},
		{Name: "file", New: func() lab.Observer { return &File{} }},
		{Name: growthName, New: func() lab.Observer { return &Growth{MinSamples: 8} }},
		{Name: "heap_profile", New: func() lab.Observer { return &HeapProfile{Timeout: "10s"} }},
		{Name: "http", New: func() lab.Observer { return &HTTP{TLSVerify: true, Timeout: "10s"} }},
		{Name: "http_latency", New: func() lab.Observer {
			return &HTTPLatency{MinSamples: 5, TLSVerify: true, Timeout: "60s"}
		}},
		{Name: "journal", New: func() lab.Observer { return &Journal{Count: "at least 1"} }},
		{Name: "log", New: func() lab.Observer { return &Log{Count: "at least 1"} }},
		{Name: "port", New: func() lab.Observer { return &Port{Protocol: "tcp", Holder: HolderAnybody} }},
		{Name: "process", New: func() lab.Observer { return &Process{Count: "at least 1"} }},
		{Name: "unit", New: func() lab.Observer { return &Unit{} }},
	}
}

//go:embed *.go
var sources embed.FS

// Sources returns this package's own Go files: the comments in them are the manual of the kinds.
func Sources() fs.FS { return sources }
