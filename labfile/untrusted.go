package labfile

import (
	"net/netip"
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

// registry refuses an image from a registry of this host, or of the network around it, to a fetched lab: to ask is to look
// around there. What a name stands for is not known before it is asked for.
func (e *evaluator) registry(d *decoder, reference string) {
	host, _, named := strings.Cut(reference, "/")
	if name, _, ok := strings.Cut(host, ":"); ok {
		host = name
	}
	a, err := netip.ParseAddr(host)
	last := host[strings.LastIndex(host, ".")+1:]
	var away bool
	switch {
	case e.From == "" || !named:
		away = true
	case err == nil:
		away = a.IsGlobalUnicast() && !a.IsPrivate()
	default: // "127.1" is an address to some
		away = last != "localhost" && last != "" && (last[0] < '0' || last[0] > '9')
	}
	if away {
		return
	}
	e.fail(d.attrRange("oci"), "Registry of this host's network", "This lab was fetched, and %s is this host, or in a private network of its: a lab that nobody here has read may not ask there. "+
		"Copy the lab into a folder of your own, read it, and run it from there.", host)
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
