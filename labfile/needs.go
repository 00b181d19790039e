package labfile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/saigen-lab/saigen/lab"
)

// needs checks what the lab asks of the driver.
func (r *reader) needs(d *decoder, given []lab.Need) {
	if !d.good["needs"] {
		return
	}
	var known []string
	for _, n := range lab.Needs() {
		known = append(known, string(n))
	}
	for i, n := range given {
		at := d.elementRange("needs", i)
		switch {
		case !slices.Contains(known, string(n)):
			r.fail(at, "Unknown need", "%q is nothing that a lab can need of a driver.%s", string(n), hint(string(n), known, "It can need"))
		case slices.Contains(given[:i], n):
			r.fail(at, "Duplicate need", "%q is in the list already.", string(n))
		}
	}
}

type vagrantBlock struct {
	When     condition `hcl:"when,optional"`
	File     lab.Path  `hcl:"file,optional"`
	Box      string    `hcl:"box,optional"`
	Checksum string    `hcl:"checksum,optional"`
	Provider string    `hcl:"provider,optional"`
}

var (
	boxForm      = regexp.MustCompile(`^https://[^/]+/.+`)
	checksumForm = regexp.MustCompile(`^sha256:[0-9a-fA-F]{64}$`)
	providerForm = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
)

// vagrant reads how the vagrant driver comes by the lab's machines. It comes before the machines, which need no image when
// they come from elsewhere.
func (e *evaluator) vagrant(d *decoder, l *lab.Lab) {
	var in vagrantBlock
	d.decode(&in)
	e.noVagrant(d)
	if d.good["file"] && d.good["box"] {
		second := d.attrName("box")
		if file := d.attrName("file"); file.Start.Byte > second.Start.Byte {
			second = file
		}
		e.fail(second, "Two origins of machines", "The machines are those of an existing Vagrantfile (file), or are made from a box (box); here are both. Take one of them out.")
	}
	if d.good["file"] && d.isFolder(in.File) {
		e.fail(d.attrRange("file"), "Not a Vagrantfile", "%q is a folder; the file itself is needed here.", strings.TrimSuffix(string(in.File), "/"))
	}
	e.box(d, in)
	if d.good["provider"] && !providerForm.MatchString(in.Provider) {
		e.fail(d.attrRange("provider"), "Wrong provider", "%q is not the name of a provider of Vagrant, such as \"libvirt\" or \"virtualbox\". Leave it out to let Vagrant choose.", in.Provider)
	}
	l.Vagrant = &lab.Vagrant{File: in.File, Box: in.Box, Checksum: strings.ToLower(in.Checksum), Provider: in.Provider, Pos: position(d.subject())}
}

func (e *evaluator) box(d *decoder, in vagrantBlock) {
	switch {
	case d.good["box"] && !boxForm.MatchString(in.Box):
		e.fail(d.attrRange("box"), "Wrong address of a box", "%q cannot be fetched: write the address of the file, https://HOST/PATH. Without box, saigen makes one from the machine's image.", in.Box)
	case d.good["box"] && !d.has("checksum"):
		e.fail(d.attrName("box"), "Missing checksum", "What comes from elsewhere must be what was looked at when the lab was written. Add checksum = \"sha256:…\", with what sha256sum prints for the box.")
	}
	switch {
	case d.good["checksum"] && !d.has("box"):
		e.fail(d.attrName("checksum"), "Checksum without a box", "A checksum belongs to a box from elsewhere, and this block names none. Add box = \"https://…\", or take the checksum out.")
	case d.good["checksum"] && !checksumForm.MatchString(in.Checksum):
		e.fail(d.attrRange("checksum"), "Wrong checksum", "%q is not a checksum: write \"sha256:\" and the 64 digits that sha256sum prints for the box.", in.Checksum)
	}
}

// imageless says whether machines may do without an image: where Vagrant gets them from elsewhere.
func imageless(l *lab.Lab, b *block) bool {
	return b != nil && (l.Vagrant.File != "" || l.Vagrant.Box != "" || b.body.Attributes["file"] != nil || b.body.Attributes["box"] != nil)
}

// noImage complains of a machine that nothing can be made from.
func (e *evaluator) noImage(d *decoder, l *lab.Lab, at hcl.Range) {
	if e.partial || imageless(l, d.scope.vagrant) {
		return
	}
	e.fail(at, "Missing argument", "%s needs the argument \"image\". Add it to the block; only machines that a vagrant block gets from a Vagrantfile or a box do without.",
		header(append([]string{d.block.Type}, d.block.Labels...)...))
}
