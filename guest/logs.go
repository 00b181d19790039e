package guest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Logs returns what containers of that name have written since a time. podman's log driver is journald where it can read
// the journal (Debian's default in a session), and k8s-file otherwise; a container keeps the one it was made with, so
// both are read, unless the journal can have nothing.
func (p *place) Logs(ctx context.Context, account, container string, since time.Time) ([]lab.LogLine, error) {
	cannot := func(err error) error {
		return fmt.Errorf("cannot read the log of container %s of account %s: %w", container, account, err)
	}
	uid := 0
	if account != "" && account != "root" {
		u, err := lookupAccount(account)
		if err != nil {
			return nil, cannot(err)
		}
		uid = u.uid
	}
	files, err := p.agent.logs.read(account, container, since)
	if err != nil {
		return nil, cannot(err)
	}
	if !p.agent.logs.mayBeInJournal(account, container) {
		return files, nil
	}
	lines, err := journal(ctx, uid, container, since)
	if err != nil {
		return nil, cannot(err)
	}
	p.agent.logs.inJournal(account, container, len(lines) > 0)
	if len(files) > 0 {
		lines = append(lines, files...)
		sort.SliceStable(lines, func(i, j int) bool { return lines[i].At.Before(lines[j].At) })
	}
	return lines, nil
}

// journal asks journalctl, which knows the journal's format and takes about 10 ms: conmon names the container in every
// entry, and entries outlive the container.
func journal(ctx context.Context, uid int, container string, since time.Time) ([]lab.LogLine, error) {
	cmd := exec.CommandContext(ctx, "journalctl", "--quiet", "--no-pager", "--all", "--output=json",
		"--output-fields=MESSAGE,CONTAINER_PARTIAL_MESSAGE,CONTAINER_ID_FULL,_SOURCE_REALTIME_TIMESTAMP",
		"--since=@"+strconv.FormatFloat(float64(since.UnixMicro())/1e6, 'f', 6, 64),
		"CONTAINER_NAME="+container, "_UID="+strconv.Itoa(uid))
	var out, errs kept
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if out.full {
			return nil, fmt.Errorf("it has grown by more than %d MiB since the look before", mostOutput>>20)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("journalctl: %w: %s", err, strings.TrimSpace(errs.String()))
	}
	return parseJournal(out.Bytes())
}

type journalEntry struct {
	Message json.RawMessage `json:"MESSAGE"`
	Partial string          `json:"CONTAINER_PARTIAL_MESSAGE"`
	ID      string          `json:"CONTAINER_ID_FULL"`
	Sent    string          `json:"_SOURCE_REALTIME_TIMESTAMP"` // µs; when conmon wrote it
	Stored  string          `json:"__REALTIME_TIMESTAMP"`       // µs
}

// parseJournal reads one JSON object per line and joins the parts of long lines, which conmon marks as partial.
func parseJournal(data []byte) ([]lab.LogLine, error) {
	var out []lab.LogLine
	open := map[string]lab.LogLine{} // by container: a line whose end has not come yet
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var e journalEntry
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("cannot read the journal: %w", err)
		}
		text, err := e.text()
		if err != nil {
			return nil, err
		}
		line, begun := open[e.ID]
		if !begun {
			line.At = e.at()
		}
		line.Text += text[:min(len(text), mostText-len(line.Text))]
		if e.Partial == "true" {
			open[e.ID] = line
			continue
		}
		delete(open, e.ID)
		out = append(out, line)
	}
	return out, s.Err()
}

// text is the message, which journalctl prints as a string, or as an array of bytes when it is not clean UTF-8.
func (e journalEntry) text() (string, error) {
	var s string
	if json.Unmarshal(e.Message, &s) != nil {
		var raw []int
		if err := json.Unmarshal(e.Message, &raw); err != nil {
			return "", fmt.Errorf("cannot read the journal: message %.100q is neither text nor bytes", e.Message)
		}
		b := make([]byte, len(raw))
		for i, v := range raw {
			b[i] = byte(v)
		}
		s = string(b)
	}
	return strings.TrimSuffix(s, "\n"), nil
}

func (e journalEntry) at() time.Time {
	us, err := strconv.ParseInt(e.Sent, 10, 64)
	if err != nil {
		us, _ = strconv.ParseInt(e.Stored, 10, 64)
	}
	return time.UnixMicro(us)
}
