package assertions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// Journal counts the lines of the machine's journal that match a pattern: of a unit, of an account's processes, or of the whole machine. What
// was written before the watch began does not count.
//
// It holds when the number of matching lines of the whole phase so far is in the limit. An entry of several lines counts once. A journal that was
// rotated is read on; one from which entries were deleted before they were read, because it became too large, could not be looked at.
//
// Values: lines, the matching lines that are new since the look before.
type Journal struct {
	// The machine whose journal is read. Either this or stack.
	Machine lab.MachineRef `hcl:"machine,optional" json:"machine,omitempty"`
	// Read the journal of this stack's machine: what its account's processes wrote.
	Stack lab.StackRef `hcl:"stack,optional" json:"stack,omitempty"`
	// Only what processes of this account wrote. Default: anybody, or the stack's account.
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"`
	// Only what this unit wrote, and what systemd wrote about it: a unit of the system, or with an account, of its user manager.
	Unit string `hcl:"unit,optional" json:"unit,omitempty"`
	// The lines that count.
	Match lab.Pattern `hcl:"match" json:"match"`
	// How many there must be. Default: "at least 1".
	Count lab.Limit `hcl:"count,optional" json:"count,omitempty"`

	start time.Time            // of the first look; what is older never counts
	until time.Time            // start of the look before
	seen  map[string]time.Time // the entries near the end, by their cursors, and when each was stored
}

// Check implements lab.Checker.
func (j *Journal) Check() []lab.Problem {
	var out []lab.Problem
	if j.Match == "" {
		out = append(out, lab.Problem{Attr: "match", Summary: "nothing to look for",
			Detail: "An empty pattern matches every line. Write the pattern of the lines that count."})
	}
	if j.Unit != "" && !unitName.MatchString(j.Unit) {
		out = append(out, lab.Problem{Attr: "unit", Summary: "not the name of a unit",
			Detail: fmt.Sprintf("%q does not end with a type of unit. Write it in full, such as \"dbus.socket\" or \"ssh.service\".", j.Unit)})
	}
	if (j.Stack == "") == (j.Machine == "") {
		out = append(out, onePlace())
	}
	return append(out, checkCount(j.Count)...)
}

// Limits implements lab.Limiter.
func (*Journal) Limits() []string { return []string{"count"} }

// Numbers implements lab.Numbered.
func (*Journal) Numbers() []string { return []string{"lines"} }

// readJournal prints the entries since $1 of account $2 and unit $3, either of which may be empty, a JSON object a line. journalctl reads the
// files that were archived at a rotation too. Its own --user-unit is about units of the user who calls it. PID 1 writes about a unit of the
// system, a user manager about one of its own: the field that names the unit is in the entry, and the unit that wrote it is added by journald.
const readJournal = `set -e
ask="journalctl --quiet --no-pager --all --output=json --output-fields=MESSAGE,__CURSOR --since=@$1"
if [ -z "$2" ]; then exec $ask ${3:+"--unit=$3"}; fi
uid=$(id -u -- "$2")
if [ -z "$3" ]; then exec $ask "_UID=$uid"; fi
exec $ask "_UID=$uid" "_SYSTEMD_USER_UNIT=$3" + "_UID=$uid" "USER_UNIT=$3"
`

type journalEntry struct {
	at     time.Time
	cursor string
	text   string
}

// Observe implements lab.Observer.
func (j *Journal) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	account := string(j.Account)
	if j.Stack != "" {
		stack, ok := at.Stack(j.Stack)
		if !ok {
			return lab.Observation{}, fmt.Errorf("cannot find %s on this machine", j.Stack)
		}
		if account == "" {
			account = stack.Account
		}
	}
	now := time.Now()
	if j.start.IsZero() {
		j.start, j.until = now, now
	}
	// journald stamps an entry when it stores it, so that entries come in the order of their times, but for a clock that is set.
	since := j.until.Add(-logOverlap)
	if since.Before(j.start) {
		since = j.start
	}
	seconds := strconv.FormatFloat(float64(since.UnixMicro())/1e6, 'f', 6, 64)
	r, err := at.Run(ctx, lab.Command{Argv: []string{"sh", "-c", readJournal, "sh", seconds, account, j.Unit}})
	if err != nil {
		return lab.Observation{}, err
	}
	if r.Code != 0 {
		return lab.Observation{}, fmt.Errorf("cannot read the journal: code %d: %s", r.Code, strings.TrimSpace(string(r.Stderr)))
	}
	all, err := parseEntries(r.Stdout)
	if err != nil {
		return lab.Observation{}, err
	}
	fresh, err := j.fresh(all, since)
	if err != nil {
		return lab.Observation{}, err
	}
	o := lab.Observation{}
	n := 0
	for _, e := range fresh {
		if j.Match.Regexp().MatchString(e.text) {
			if n++; n <= logKept {
				o.Lines = append(o.Lines, e.text)
			}
		}
	}
	j.until = now
	o.Lines = clip(o.Lines)
	o.Values = map[string]float64{"lines": float64(n)}
	o.Summary = plural(n, "new line")
	return o, nil
}

// fresh returns the entries that the look before had not seen, and remembers all for the next one. An entry that was seen and is not there any
// more, although it is not older than what was asked for, was deleted, and with it perhaps some that nobody had seen.
func (j *Journal) fresh(all []journalEntry, since time.Time) ([]journalEntry, error) {
	now := map[string]time.Time{}
	var out []journalEntry
	for _, e := range all {
		if e.at.Before(j.start) {
			continue
		}
		now[e.cursor] = e.at
		if _, seen := j.seen[e.cursor]; !seen {
			out = append(out, e)
		}
	}
	var lost error
	for cursor, at := range j.seen {
		if _, there := now[cursor]; !there && !at.Before(since) {
			lost = errors.New("cannot read the whole journal: entries were deleted since the look before; the machine writes more than its journal may keep")
		}
	}
	j.seen = now
	return out, lost
}

// parseEntries reads a JSON object per line.
func parseEntries(data []byte) ([]journalEntry, error) {
	var out []journalEntry
	for line := range bytes.Lines(data) {
		var e struct {
			Message json.RawMessage `json:"MESSAGE"`
			Cursor  string          `json:"__CURSOR"`
			Stored  string          `json:"__REALTIME_TIMESTAMP"` // µs
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("cannot read the journal: %w", err)
		}
		us, err := strconv.ParseInt(e.Stored, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot read the journal: entry %s has no time", e.Cursor)
		}
		out = append(out, journalEntry{at: time.UnixMicro(us), cursor: e.Cursor, text: messageText(e.Message)})
	}
	return out, nil
}

// messageText is an entry's message: a string, an array of bytes when it is not clean UTF-8, or either in an array when there are several;
// an entry may have none.
func messageText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var numbers []byte
	var values []int
	if json.Unmarshal(raw, &values) == nil {
		for _, v := range values {
			numbers = append(numbers, byte(v))
		}
		return string(numbers)
	}
	var several []json.RawMessage
	if json.Unmarshal(raw, &several) != nil {
		return ""
	}
	texts := make([]string, len(several))
	for i, one := range several {
		texts[i] = messageText(one)
	}
	return strings.Join(texts, "\n")
}

// Holds implements lab.Observer.
func (j *Journal) Holds(history []lab.Observation) bool { return j.Count.Holds(total(history)) }

// Measure implements lab.Measurer.
func (*Journal) Measure(history []lab.Observation) map[string]float64 {
	return map[string]float64{"lines": total(history)}
}

// Explain implements lab.Explainer.
func (*Journal) Explain(history []lab.Observation) string { return plural(int(total(history)), "line") }
