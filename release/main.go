package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

const usage = `usage: go run ./release licences
       go run ./release vulnerabilities [-db URL] [-required] [-note FILE]
       go run ./release build [-out FOLDER]`

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, command)); err != nil {
		return fmt.Errorf("cannot find %s: release runs in the root of saigen's repository", command)
	}
	if len(args) == 0 {
		return errors.New(usage)
	}
	flags := flag.NewFlagSet("release "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	switch args[0] {
	case "licences":
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return checkLicences(ctx, root, stdout)
	case "vulnerabilities":
		s := scan{dir: root, patterns: []string{"./..."}, stdout: stdout, stderr: stderr}
		required := flags.Bool("required", false, "fail where the database cannot be reached")
		note := flags.String("note", "", "the `FILE` that says what could not be looked at; removed when it was")
		db := os.Getenv("GOVULNDB")
		if db == "" {
			db = vulnerabilityDatabase
		}
		flags.StringVar(&s.db, "db", db, "the `URL` of the database; $GOVULNDB")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return s.lookAndTell(ctx, *required, *note)
	case "build":
		out := flags.String("out", filepath.Join(root, "dist"), "the `FOLDER` that the release is put into; what is there is replaced")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return build(ctx, root, *out, stdout)
	}
	return errors.New(usage)
}
