package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	vulnerabilityDatabase = "https://vuln.go.dev"
	govulncheck           = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"
)

// reachTime is how long the database may take to answer.
const reachTime = 20 * time.Second

// scan looks for known vulnerabilities in what the packages of a folder call.
type scan struct {
	db       string // http(s):// or file://
	dir      string
	patterns []string
	stdout   io.Writer
	stderr   io.Writer
}

// unreached says that nothing was looked at: neither found nor not found.
type unreached struct {
	db  string
	err error
}

func (u *unreached) Error() string { return fmt.Sprintf("cannot reach %s: %v", u.db, u.err) }
func (u *unreached) Unwrap() error { return u.err }

// look returns an unreached where there is no database, another error where something is found or went wrong.
func (s scan) look(ctx context.Context) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", govulncheck, "-db", s.db}, s.patterns...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, s.stdout, s.stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("govulncheck of %s found something, or could not do its work: %w", s.db, err)
	}
	return nil
}

// reach asks for what govulncheck will ask for first. A folder that is no database is a mistake of whoever named it.
func (s scan) reach(ctx context.Context) error {
	u, err := url.Parse(s.db)
	if err != nil {
		return fmt.Errorf("cannot use the database %s: %w", s.db, err)
	}
	switch u.Scheme {
	case "file":
		if _, err := os.Stat(filepath.Join(u.Path, "index", "db.json")); err != nil {
			return fmt.Errorf("cannot use the database %s: %w", s.db, err)
		}
		return nil
	case "http", "https":
	default:
		return fmt.Errorf("cannot use the database %s: not http, https or file", s.db)
	}
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.db, "/")+"/index/db.json.gz", nil)
	if err != nil {
		return fmt.Errorf("cannot use the database %s: %w", s.db, err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return &unreached{s.db, err}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return &unreached{s.db, errors.New(answer.Status)}
	}
	return nil
}

// lookAndTell is look, with the third outcome said loudly. It is no error, unless required: a host without a way to the database
// could otherwise test nothing.
func (s scan) lookAndTell(ctx context.Context, required bool, note string) error {
	err := s.look(ctx)
	var u *unreached
	if !errors.As(err, &u) || required {
		if note != "" && u == nil {
			if err := os.Remove(note); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return err
	}
	loud := fmt.Sprintf(`
****************************************************************************
NOT LOOKED AT: 1 of the 3 checks of make lint, known vulnerabilities.
%v
Nothing is known about them, neither good nor bad. Where the database can be
reached, what is found fails. To demand it: make lint VULNERABILITIES=required;
to use a copy of the database: GOVULNDB=file:///FOLDER make lint
****************************************************************************

`, u)
	_, _ = io.WriteString(s.stdout, loud)
	if note == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(note), 0o755); err != nil {
		return err
	}
	return os.WriteFile(note, []byte(loud), 0o644)
}
