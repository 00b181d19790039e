package assertions

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/saigen-lab/saigen/lab"
)

// File looks at one file or folder of the machine: whether it is there, its size, mode and owner, and the lines in it.
//
// All settings that are given must hold together, on the newest look. A file that is absent has no size, mode, owner or
// lines: then only exists = false holds. A link counts as what it leads to. A file that is there and cannot be read, or
// that is too large to be read at every look (64 MiB), could not be looked at.
//
// Values: exists (1 or 0), size in bytes, mode, owner_match (1 or 0), lines, those that count.
type File struct {
	// The machine to look in. Either this or stack.
	Machine lab.MachineRef `hcl:"machine,optional" json:"machine,omitempty"`
	// Look in this stack's machine; a relative path begins in the stack's folder.
	Stack lab.StackRef `hcl:"stack,optional" json:"stack,omitempty"`
	// The account in whose home a relative path begins.
	Account lab.AccountName `hcl:"account,optional" json:"account,omitempty"`
	// Where the file is: absolute, or relative to the account's home or the stack's folder.
	Path string `hcl:"path" json:"path"`
	// Holds when there is such a file, or with false, when there is none.
	Exists *bool `hcl:"exists,optional" json:"exists,omitempty"`
	// Holds when its size is in this limit: "over 1MiB", "exactly 0".
	Size lab.Limit `hcl:"size,optional" json:"size,omitempty"`
	// Holds when these are its permissions, in octal: "0644".
	Mode string `hcl:"mode,optional" json:"mode,omitempty"`
	// Holds when it belongs to this account, root and the system's own included.
	Owner string `hcl:"owner,optional" json:"owner,omitempty"`
	// The lines that count. Default: all of them.
	Match lab.Pattern `hcl:"match,optional" json:"match,omitempty"`
	// Holds when the number of lines that count is in this limit. Default: "at least 1" with match, none without.
	Count lab.Limit `hcl:"count,optional" json:"count,omitempty"`
}

// fileRead is how many bytes of a file are read at a look, at most.
const fileRead = 64 << 20

// fileKept is how many lines one observation keeps as evidence.
const fileKept = 20

// fileMode is how permissions are written: three or four octal digits.
var fileMode = regexp.MustCompile(`^[0-7]{3,4}$`)

// Check implements lab.Checker.
func (f *File) Check() []lab.Problem {
	var out []lab.Problem
	switch {
	case f.Path == "":
		out = append(out, lab.Problem{Attr: "path", Summary: "no file is named",
			Detail: "Write where the file is in the machine, such as \"/etc/hosts\"."})
	case strings.HasPrefix(f.Path, "~"):
		out = append(out, lab.Problem{Attr: "path", Summary: "no shell reads the path",
			Detail: "So ~ is a name like any other. Set account, and write the path as it goes on from that account's home."})
	case !path.IsAbs(f.Path) && f.Account == "" && f.Stack == "":
		out = append(out, lab.Problem{Attr: "path", Summary: "a path without a beginning",
			Detail: fmt.Sprintf("%q is relative, and there is neither an account nor a stack in whose folder it could begin. Write an absolute path, or set account or stack.", f.Path)})
	}
	contents := f.Size != "" || f.Mode != "" || f.Owner != "" || f.Match != "" || f.Count != ""
	switch {
	case f.Exists == nil && !contents:
		out = append(out, nothingAsserted("exists, size, mode, owner, match and count"))
	case f.Exists != nil && !*f.Exists && contents:
		out = append(out, lab.Problem{Attr: "exists", Summary: "an absent file has no contents",
			Detail: "With exists = false the file must be absent, and then nothing else of it can hold. Leave out either exists or size, mode, owner, match and count."})
	}
	if alwaysTrue(f.Size) {
		out = append(out, lab.Problem{Attr: "size", Summary: "every size is in the limit",
			Detail: "A size is never below 0, so this always holds of a file that is there. Write exists = true, or a limit that can be missed, such as \"over 0\"."})
	}
	if f.Mode != "" && !fileMode.MatchString(f.Mode) {
		out = append(out, lab.Problem{Attr: "mode", Summary: "no permissions",
			Detail: fmt.Sprintf("%q is not how permissions are written. Write three or four octal digits, such as \"0644\".", f.Mode)})
	}
	out = append(out, checkCount(f.Count)...)
	if (f.Stack == "") == (f.Machine == "") {
		out = append(out, onePlace())
	}
	return out
}

// Limits implements lab.Limiter.
func (*File) Limits() []string { return []string{"exists", "size", "mode", "count"} }

// Numbers implements lab.Numbered.
func (f *File) Numbers() []string {
	out := []string{"exists", "size", "mode"}
	if f.Owner != "" {
		out = append(out, "owner_match")
	}
	if f.reads() {
		out = append(out, "lines")
	}
	return out
}

// reads says whether the lines of the file matter.
func (f *File) reads() bool { return f.Match != "" || f.Count != "" }

// Observe implements lab.Observer.
func (f *File) Observe(ctx context.Context, at lab.Place) (lab.Observation, error) {
	where, err := f.where(at)
	if err != nil {
		return lab.Observation{}, err
	}
	st, err := os.Stat(where)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return absent(where), nil
	}
	if err != nil {
		return lab.Observation{}, fmt.Errorf("cannot look at %s: %w", where, err)
	}
	o := lab.Observation{Values: map[string]float64{"exists": 1}}
	if f.reads() {
		if !st.Mode().IsRegular() {
			return lab.Observation{}, fmt.Errorf("cannot read the lines of %s: it is no regular file", where)
		}
		n, kept, err := f.read(ctx, where)
		if errors.Is(err, fs.ErrNotExist) {
			return absent(where), nil // it has just gone
		}
		if err != nil {
			return lab.Observation{}, fmt.Errorf("cannot read %s: %w", where, err)
		}
		o.Lines, o.Values["lines"] = clip(kept), float64(n)
	}
	mode, owner := permissions(st.Mode()), ownerOf(st)
	o.Values["size"], o.Values["mode"] = float64(st.Size()), float64(mode)
	o.Summary = fmt.Sprintf("%d bytes, %04o, of %s", st.Size(), mode, owner)
	if f.Owner != "" {
		o.Values["owner_match"] = truth(owner == f.Owner)
	}
	if f.reads() {
		o.Summary += ", " + plural(int(o.Values["lines"]), "line")
	}
	return o, nil
}

func absent(where string) lab.Observation {
	return lab.Observation{Values: map[string]float64{"exists": 0}, Summary: where + " is absent"}
}

// where is the file's absolute path.
func (f *File) where(at lab.Place) (string, error) {
	folder := ""
	if f.Stack != "" {
		stack, ok := at.Stack(f.Stack)
		if !ok {
			return "", fmt.Errorf("cannot find %s on this machine", f.Stack)
		}
		folder = stack.Folder()
	}
	if path.IsAbs(f.Path) {
		return f.Path, nil
	}
	if f.Account != "" {
		u, err := user.Lookup(string(f.Account))
		if err != nil {
			return "", fmt.Errorf("cannot find the home of %s: %w", f.Account, err)
		}
		folder = u.HomeDir
	}
	return filepath.Join(folder, f.Path), nil
}

// read counts the lines of a regular file that count, and keeps the first of them.
func (f *File) read(ctx context.Context, where string) (n int, kept []string, err error) {
	file, err := os.Open(where)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = file.Close() }() // opened for reading only
	match := f.Match.Regexp()
	bounded := &io.LimitedReader{R: file, N: fileRead + 1}
	for r := bufio.NewReader(bounded); ; {
		line, err := r.ReadString('\n')
		if bounded.N == 0 {
			return 0, nil, fmt.Errorf("it has more than %d MiB", fileRead>>20)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, nil, err
		}
		if line != "" && match.MatchString(strings.TrimSuffix(line, "\n")) {
			if n++; n <= fileKept {
				kept = append(kept, strings.TrimSuffix(line, "\n"))
			}
		}
		if err != nil {
			return n, kept, ctx.Err()
		}
		if ctx.Err() != nil {
			return 0, nil, ctx.Err()
		}
	}
}

// permissions are the twelve bits that chmod sets.
func permissions(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for flag, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&flag != 0 {
			bits |= bit
		}
	}
	return bits
}

// ownerOf is the name of the account to which a file belongs, or its number where no account has it.
func ownerOf(st fs.FileInfo) string {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	uid := strconv.FormatUint(uint64(sys.Uid), 10)
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return uid
}

// Holds implements lab.Observer.
func (f *File) Holds(history []lab.Observation) bool {
	v := last(history).Values
	if v["exists"] == 0 {
		return f.Exists != nil && !*f.Exists
	}
	mode, _ := strconv.ParseUint(f.Mode, 8, 32) // Check has seen it
	count := f.Count
	if count == "" && f.Match != "" {
		count = "at least 1"
	}
	return (f.Exists == nil || *f.Exists) &&
		(f.Size == "" || f.Size.Holds(v["size"])) &&
		(f.Mode == "" || v["mode"] == float64(mode)) &&
		(f.Owner == "" || v["owner_match"] == 1) &&
		(count == "" || count.Holds(v["lines"]))
}
