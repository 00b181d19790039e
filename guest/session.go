package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// sessions knows the machine's accounts and opens their sessions.
type sessions struct {
	log *slog.Logger

	mu       sync.Mutex
	accounts []*session // as declared
}

// session is one account and the way in which it is logged in.
type session struct {
	mu       sync.Mutex // one opens the session, the others wait for it
	kind     lab.Session
	loggedIn bool // a terminal is opened as well, once
	ids      accountIDs
	unit     string // the unit that the holder was started as; empty: it is the agent's own child
}

// accountsFile keeps the declaration for an agent that is started again.
const accountsFile = "/run/saigen/accounts.json"

func newSessions(log *slog.Logger) *sessions {
	s := &sessions{log: log}
	var accounts []lab.Account
	data, err := os.ReadFile(accountsFile)
	if err == nil {
		err = json.Unmarshal(data, &accounts)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("cannot read accounts of the agent before this one", "error", err)
	}
	for _, a := range accounts {
		if ids, err := lookupAccount(a.Name); err == nil {
			s.accounts = append(s.accounts, &session{kind: a.Session, loggedIn: a.LoggedIn, ids: ids})
		}
	}
	return s
}

// add makes the accounts in their order and opens their sessions side by side. Accounts that are there stay.
func (s *sessions) add(ctx context.Context, accounts []lab.Account) error {
	if err := checkAccounts(accounts); err != nil {
		return err
	}
	s.mu.Lock()
	terminal := map[string]*session{}
	for i, a := range accounts {
		added, err := s.addOne(ctx, a, firstUID+i)
		if err != nil {
			s.mu.Unlock()
			return err
		}
		if added != nil && added.loggedIn {
			terminal[a.Name] = added
		}
	}
	err := s.save()
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("cannot keep the declaration of the accounts: %w", err)
	}
	errs := make([]error, len(accounts))
	var all sync.WaitGroup
	for i, a := range accounts {
		all.Go(func() {
			// Before the session: what the account's commands find depends on whether it is logged in.
			if x := terminal[a.Name]; x != nil {
				if errs[i] = x.openTerminal(ctx); errs[i] != nil {
					return
				}
			}
			conn, err := s.enter(ctx, a.Name)
			if err == nil {
				_ = conn.Close()
			}
			errs[i] = err
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err // the first one declared; joined ones would lose their tails
		}
	}
	return nil
}

// addOne makes an account and returns its session, which is not open yet; nil: it was declared before.
func (s *sessions) addOne(ctx context.Context, a lab.Account, uid int) (*session, error) {
	ids, err := makeAccount(ctx, a.Name, uid)
	if err != nil {
		return nil, err
	}
	if err := preparePodman(ids); err != nil {
		return nil, fmt.Errorf("cannot prepare podman for account %s: %w", a.Name, err)
	}
	if old := s.find(a.Name); old != nil {
		if old.kind != a.Session {
			return nil, fmt.Errorf("account %s has a session of kind %s and cannot have one of kind %s", a.Name, old.kind, a.Session)
		}
		return nil, nil
	}
	x := &session{kind: a.Session, loggedIn: a.LoggedIn, ids: ids}
	s.accounts = append(s.accounts, x)
	return x, nil
}

// find needs s.mu.
func (s *sessions) find(name string) *session {
	for _, x := range s.accounts {
		if x.ids.name == name {
			return x
		}
	}
	return nil
}

func (s *sessions) save() error {
	var accounts []lab.Account
	for _, x := range s.accounts {
		accounts = append(accounts, lab.Account{Name: x.ids.name, Session: x.kind, LoggedIn: x.loggedIn})
	}
	data, err := json.Marshal(accounts)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(accountsFile), 0o755); err != nil {
		return err
	}
	return os.WriteFile(accountsFile, data, 0o600)
}

// enter connects to the holder of an account's session, which is opened when it is not open: for the first time, or
// because it was killed. An error says why it could not be.
func (s *sessions) enter(ctx context.Context, account string) (net.Conn, error) {
	s.mu.Lock()
	x := s.find(account)
	s.mu.Unlock()
	if x == nil {
		return nil, fmt.Errorf("no account %q is declared on this machine", account)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if conn, err := net.Dial("unix", holderSocket(account)); err == nil {
		return conn, nil
	}
	began := time.Now()
	conn, err := x.open(ctx)
	if err != nil {
		return nil, err
	}
	s.log.Info("session is open", "account", account, "kind", x.kind, "took", time.Since(began))
	return conn, nil
}

const (
	// openTimeout is for a whole session, on a machine that is emulated.
	openTimeout = 90 * time.Second
	pollEvery   = 5 * time.Millisecond
)

// open starts a holder in the account's own way and returns when it answers. It needs x.mu.
func (x *session) open(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	cannot := func(err error) error {
		return &lab.InfraError{
			What: fmt.Sprintf("cannot open a session of kind %s for account %s", x.kind, x.ids.name),
			Err:  err,
			Tail: x.explain(),
		}
	}
	socket := holderSocket(x.ids.name)
	if err := x.makeSocketFolder(filepath.Dir(socket)); err != nil {
		return nil, cannot(err)
	}
	ended, err := x.start(ctx, socket)
	if err != nil {
		return nil, cannot(err)
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn, nil
		}
		select {
		case <-tick.C:
		case err := <-ended:
			return nil, cannot(fmt.Errorf("the session's holder ended: %w", err))
		case <-ctx.Done():
			return nil, cannot(fmt.Errorf("the session's holder does not answer: %w", context.Cause(ctx)))
		}
	}
}

// makeSocketFolder makes the folder that only the account and root can enter, without an old socket in it.
func (x *session) makeSocketFolder(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Chown(dir, x.ids.uid, x.ids.gid)
}
