package labtest

import (
	"context"
	"strconv"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// script finds the script that a command runs, when it is one that was put: by itself, or as the first argument of sh.
func (w *World) script(argv []string) (string, bool) {
	path := argv[0]
	if len(argv) == 2 && (path == "sh" || path == "bash" || path == "/bin/sh" || path == "/bin/bash") {
		path = argv[1]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f, ok := w.files[path]
	if !ok || f.Mode&0o111 == 0 && path == argv[0] {
		return "", false
	}
	return string(f.Data), strings.HasPrefix(string(f.Data), FakeShebang)
}

// FakeShebang begins a script that a fake machine interprets: one command per line, "exit CODE" among them.
const FakeShebang = "#!fake\n"

// runScript runs the lines of a script until one of them fails.
func (w *World) runScript(ctx context.Context, cmd lab.Command, script string) (lab.Result, error) {
	var all lab.Result
	for line := range strings.Lines(strings.TrimPrefix(script, FakeShebang)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
			continue
		case words[0] == "exit" && len(words) == 2:
			all.Code, _ = strconv.Atoi(words[1])
			return all, nil
		}
		cmd.Argv = words
		r, err := w.answer(ctx, cmd)
		if err != nil {
			return all, err
		}
		all.Stdout, all.Stderr = append(all.Stdout, r.Stdout...), append(all.Stderr, r.Stderr...)
		if all.Code = r.Code; r.Code != 0 {
			return all, nil
		}
	}
	return all, nil
}
