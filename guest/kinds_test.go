package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// KindsOfTheTests is for the agent that the external test package starts.
func KindsOfTheTests() []lab.Kind[lab.Observer] {
	return []lab.Kind[lab.Observer]{
		{Name: "fake", New: func() lab.Observer { return &fakeKind{Answer: "default"} }},
		{Name: "place", New: func() lab.Observer { return &placeKind{} }},
	}
}

// fakeKind is an assertion whose looks end as it is told.
type fakeKind struct {
	Answer string `json:"answer"`
	Takes  string `json:"takes"`
	Fail   bool   `json:"fail"`
	Panic  bool   `json:"panic"`
	Hang   bool   `json:"hang"`
	Big    bool   `json:"big"`
}

func (f *fakeKind) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	if d, err := time.ParseDuration(f.Takes); err == nil {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	switch {
	case f.Panic:
		panic("as told")
	case f.Fail:
		return lab.Observation{}, errors.New("as told")
	case f.Hang:
		<-ctx.Done()
		return lab.Observation{}, ctx.Err()
	case f.Big:
		return lab.Observation{Summary: string(make([]byte, maxFrame))}, nil
	}
	stack, _ := at.Stack("stack.web")
	return lab.Observation{Summary: f.Answer, Lines: []string{stack.Account}}, nil
}

func (f *fakeKind) Holds([]lab.Observation) bool { return true }

// placeKind calls one function of the place and reports what it got, for the tests in a machine.
type placeKind struct {
	Call      string    `json:"call"`
	Account   string    `json:"account"`
	Container string    `json:"container"`
	Since     time.Time `json:"since"`
	Argv      []string  `json:"argv"`
}

func (k *placeKind) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	var got any
	var err error
	began := time.Now()
	switch k.Call {
	case "containers":
		got, err = at.Containers(ctx, k.Account)
	case "logs":
		got, err = at.Logs(ctx, k.Account, k.Container, k.Since)
	case "processes":
		got, err = at.Processes(ctx)
	case "run":
		got, err = at.Run(ctx, lab.Command{Argv: k.Argv, Account: k.Account})
	case "get":
		got, err = k.get(ctx, at)
	default:
		err = fmt.Errorf("unknown call %q", k.Call)
	}
	took := time.Since(began)
	if err != nil {
		return lab.Observation{}, err
	}
	data, err := json.Marshal(got)
	return lab.Observation{Summary: string(data), Values: map[string]float64{"ms": float64(took.Microseconds()) / 1000}}, err
}

func (k *placeKind) Holds([]lab.Observation) bool { return true }

// get asks the container's own loopback for a page, from within its network.
func (k *placeKind) get(ctx context.Context, at lab.Place) (string, error) {
	all, err := at.Containers(ctx, k.Account)
	if err != nil {
		return "", err
	}
	var answer string
	for _, c := range all {
		if c.Name != k.Container {
			continue
		}
		err = at.Within(c, func() error {
			conn, err := net.Dial("tcp", "127.0.0.1:3000")
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "GET /data/www HTTP/1.0\r\n\r\n"); err != nil {
				return err
			}
			body, err := io.ReadAll(conn)
			answer = string(body)
			return err
		})
	}
	return answer, err
}
