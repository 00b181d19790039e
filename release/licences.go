package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// allowed are the SPDX identifiers of licences under which others' work may be in saigen: those that ask for no more than their
// text beside the program, and MPL-2.0, of which an unmodified library asks for its source to be found: THIRD_PARTY says where.
var allowed = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Unicode-DFS-2016", "Unlicense", "Zlib"}

// elsewhere are files that look like licences of a module's code and are not.
var elsewhere = map[string]string{
	"LICENSE.docs": "of a module's documentation, which is not linked",
}

// text is a file that a licence asks to be passed on.
type text struct {
	file string // its name
	body string
}

var (
	licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)([.-].*)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^(notice|copyright|patents)([.-].*)?$`)
)

// covered is how much of a licence's text must be known words of known licences, in per cent. What is not is the
// names of the holders; a licence with a clause of somebody's own falls below it.
const covered = 75

// readLicences finds the licences of a part, and complains of what is not allowed or not understood.
func (p *part) readLicences() error {
	var errs []error
	for _, dir := range p.folders {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("cannot look for the licence of %s: %w", p, err)
		}
		for _, e := range entries {
			isLicence, isNotice := licenceFile.MatchString(e.Name()), noticeFile.MatchString(e.Name())
			if e.IsDir() || elsewhere[e.Name()] != "" || strings.HasSuffix(e.Name(), ".go") || !isLicence && !isNotice {
				continue
			}
			body, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return fmt.Errorf("cannot read a licence of %s: %w", p, err)
			}
			p.texts = append(p.texts, text{e.Name(), string(body)})
			if isLicence {
				errs = append(errs, p.understand(filepath.Join(dir, e.Name()), body))
			}
		}
	}
	slices.Sort(p.licences)
	p.licences = slices.Compact(p.licences)
	if len(p.licences) == 0 && errors.Join(errs...) == nil {
		errs = append(errs, fmt.Errorf("%s has no licence: none of its folders has a file LICENSE or COPYING", p))
	}
	return errors.Join(errs...)
}

// understand adds the licences of one file.
func (p *part) understand(file string, body []byte) error {
	found := licensecheck.Scan(body)
	var names []string
	for _, m := range found.Match {
		if !m.IsURL {
			names = append(names, m.ID)
		}
	}
	if found.Percent < covered || len(names) == 0 {
		return fmt.Errorf("%s: %s is not understood: %.0f %% of it are words of %s", p, file, found.Percent, strings.Join(append(names, "known licences"), ", "))
	}
	var errs []error
	for _, name := range names {
		if !slices.Contains(allowed, name) {
			errs = append(errs, fmt.Errorf("%s: the licence %s (%s) is not allowed", p, name, file))
		}
	}
	p.licences = append(p.licences, names...)
	return errors.Join(errs...)
}

// readAll reads the licences of all parts, and returns all that is wrong.
func readAll(parts []part) error {
	var errs []error
	for i := range parts {
		errs = append(errs, parts[i].readLicences())
	}
	return errors.Join(errs...)
}

// inSaigen lists all that is in the program, with its licences.
func inSaigen(ctx context.Context, root string, env ...string) ([]part, error) {
	parts, err := linked(ctx, root, "./"+command, env...)
	if err != nil {
		return nil, err
	}
	assets, err := embedded(root)
	if err != nil {
		return nil, err
	}
	parts = append(parts, assets...)
	return parts, readAll(parts)
}

// checkLicences looks at what is in saigen, and in the programs of the shipped labs.
func checkLicences(ctx context.Context, root string, stdout io.Writer) error {
	env := []string{"CGO_ENABLED=0", "GOOS=linux"}
	parts, err := inSaigen(ctx, root, env...)
	errs := []error{err}
	dirs, err := demoPrograms(root)
	errs = append(errs, err)
	seen := map[string]bool{}
	for _, p := range parts {
		seen[p.String()] = true
	}
	for _, dir := range dirs {
		inDemo, err := linked(ctx, dir, "./...", append(env, "GOWORK=off")...)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		inDemo = slices.DeleteFunc(inDemo, func(p part) bool { return seen[p.String()] })
		for _, p := range inDemo {
			seen[p.String()] = true
		}
		errs = append(errs, readAll(inDemo))
		parts = append(parts, inDemo...)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot pass on all that is linked:\n%w", err)
	}
	count := map[string]int{}
	for _, p := range parts {
		count[strings.Join(p.licences, " and ")]++
	}
	var names []string
	for name := range count {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return count[b]*1000 - count[a]*1000 + strings.Compare(a, b) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", count[name], name)
	}
	fmt.Fprintf(stdout, "licences: %d parts of saigen and of %d programs of labs: %s\n", len(parts), len(dirs), strings.Join(names, ", "))
	return nil
}

// thirdParty is the file that goes with the program: what is in it, under which licence, where its source is, and every text
// once.
func thirdParty(parts []part) []byte {
	var b bytes.Buffer
	b.WriteString("What others have written and is in saigen, unmodified. The number in brackets is that of a text below.\n\n")
	var bodies []string
	var names []string
	for _, p := range parts {
		var refs []string
		for _, t := range p.texts {
			i := slices.Index(bodies, t.body)
			if i < 0 {
				i = len(bodies)
				bodies, names = append(bodies, t.body), append(names, t.file)
			}
			if ref := fmt.Sprintf("[%d]", i+1); !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
		fmt.Fprintf(&b, "%s: %s %s\n    source: %s\n", p, strings.Join(p.licences, ", "), strings.Join(refs, " "), p.source())
	}
	for i, body := range bodies {
		fmt.Fprintf(&b, "\n%s\n[%d] %s\n\n%s\n", strings.Repeat("=", 80), i+1, names[i], strings.TrimRight(body, "\n"))
	}
	return b.Bytes()
}

// source is where the part's source code is found.
func (p part) source() string {
	switch {
	case p.name == "std":
		return "Go " + p.version + ", https://go.dev"
	case strings.HasPrefix(p.purl, "pkg:npm/"):
		return "npm pack " + strings.ToLower(p.name) + "@" + p.version
	}
	return "go mod download " + p.name + "@" + p.version
}
