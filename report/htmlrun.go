package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// runView is what a run ran on.
type runView struct {
	ID, Lab, From, Driver, Why, Saigen, Host, When, Took string
	Ended                                                bool
	Leaks                                                []string
	Images                                               []imageView
}

type imageView struct {
	Name, Debian, Arch string
	Asked, Others      []packageView
}

type packageView struct{ Name, Version string }

func runOf(r *storedRun) runView {
	v := runView{ID: clean(string(r.ID)), Lab: clean(r.Lab), From: clean(r.From), Driver: clean(r.Driver), Why: clean(r.Why), Saigen: clean(r.Saigen), Ended: r.ended,
		When: r.Started.UTC().Format("2 January 2006, 15:04:05 UTC"), Took: Duration(r.took)}
	var host []string
	for _, s := range []string{r.Host.System, r.Host.Kernel, r.Host.Arch} {
		if s != "" {
			host = append(host, clean(s))
		}
	}
	if r.Host.CPUs > 0 {
		host = append(host, fmt.Sprintf("%d processors", r.Host.CPUs))
	}
	if r.Host.Memory > 0 {
		host = append(host, fmt.Sprintf("%.1f GiB of memory", float64(r.Host.Memory)/(1<<30)))
	}
	v.Host = strings.Join(host, ", ")
	for _, l := range r.leaks {
		v.Leaks = append(v.Leaks, clean(l))
	}
	asked := map[string]bool{}
	for _, t := range r.trials {
		for _, i := range t.lab.Images {
			for _, p := range i.Packages {
				asked[i.Name+" "+p] = true
			}
		}
	}
	for _, i := range r.images {
		iv := imageView{Name: clean(i.Image), Debian: clean(i.Debian), Arch: clean(i.Arch)}
		for name, version := range i.Packages {
			p := packageView{clean(name), clean(version)}
			if asked[i.Image+" "+name] || i.Debian == "" {
				iv.Asked = append(iv.Asked, p)
			} else {
				iv.Others = append(iv.Others, p)
			}
		}
		for _, all := range [][]packageView{iv.Asked, iv.Others} {
			slices.SortFunc(all, func(a, b packageView) int { return cmp.Compare(a.Name, b.Name) })
		}
		v.Images = append(v.Images, iv)
	}
	return v
}

// commandsOf are the commands that make the same again, and those that go in and look.
func commandsOf(r *storedRun, t *storedTrial) []string {
	path := quoted(cmp.Or(r.From, r.Path, r.Lab))
	variant := ""
	for _, c := range t.lab.Variant {
		variant += " " + quoted(c.Axis+":"+c.Value)
	}
	driver := ""
	if r.Driver != "" {
		driver = " --driver " + quoted(r.Driver)
	}
	bare := ""
	if r.WithoutFaults {
		bare = " --without-faults"
	}
	out := []string{"saigen run " + path + variant + driver + bare, "saigen up " + path + variant + driver}
	shell := "saigen shell"
	if len(r.Accounts) > 0 {
		shell += " --account " + quoted(r.Accounts[0])
	}
	return append(out, shell, "saigen down")
}

// quoted is a word for a shell.
func quoted(s string) string {
	s = clean(s)
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,@%+=", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
