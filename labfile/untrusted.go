package labfile

import (
	"slices"
	"strings"
	"unicode"

	"github.com/saigen-lab/saigen/lab"
)

// needed is what the lab needs of the driver. A fetched lab gets a kernel of its own in every variant, whatever it says of its
// needs: a container's root is one bug of the shared kernel away from the host.
func (e *evaluator) needed() []lab.Need {
	if e.From == "" || slices.Contains(e.declarations.needs, lab.OwnKernel) {
		return e.declarations.needs
	}
	return append([]lab.Need{lab.OwnKernel}, e.declarations.needs...)
}

// noVagrant refuses the vagrant block of a fetched lab.
func (e *evaluator) noVagrant(d *decoder) {
	if e.From == "" {
		return
	}
	e.fail(d.subject(), "Vagrant in a fetched lab",
		"A Vagrantfile is a program in Ruby that Vagrant runs on this host, and a box has one in it; this lab was fetched, and nobody of this host has read it. "+
			"Copy the lab into a folder of your own, read it, and run it from there.")
}

// oddPart says what is wrong with a part of a path, between two slashes, that a program could take for something else than a
// file's name; empty: nothing.
func oddPart(path string) string {
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case strings.HasPrefix(part, "-"):
			return "begins with \"-\": a command would take it for one of its options"
		case strings.ContainsFunc(part, func(r rune) bool { return !unicode.IsPrint(r) }):
			return "holds a character that cannot be printed"
		}
	}
	return ""
}
