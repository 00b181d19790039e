package labfile

import (
	"path"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/mod/modfile"

	"github.com/saigen-lab/saigen/lab"
)

// replaced checks that a Go program is complete in its folder: that is all that it is compiled from. A go.mod that cannot be read is
// the go command's to tell.
func (e *evaluator) replaced(d *decoder, in imageBlock) {
	if d.root == nil || !d.good["go"] || !d.isFolder(in.Go) {
		return
	}
	name := path.Join(string(in.Go), "go.mod")
	data, err := d.root.ReadFile(name)
	if err != nil {
		return
	}
	file, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return
	}
	for _, r := range file.Replace {
		if _, another := in.Modules[r.Old.Path]; another || r.New.Version != "" || filepath.IsLocal(r.New.Path) {
			continue
		}
		e.fail(inFile(d, in.Go, r.Syntax), "Module outside the folder", "%q is not in the folder of the program, %q, and that folder is all that it is compiled from. Put the module into it, or take a version of it from a module proxy.", r.New.Path, string(in.Go))
	}
}

// inFile is the place of a line of a program's go.mod.
func inFile(d *decoder, folder lab.Path, line *modfile.Line) hcl.Range {
	at := hcl.Range{Filename: path.Join(path.Dir(d.attrRange("go").Filename), string(folder), "go.mod")}
	at.Start = hcl.Pos{Line: line.Start.Line, Column: line.Start.LineRune, Byte: line.Start.Byte}
	at.End = hcl.Pos{Line: line.End.Line, Column: line.End.LineRune, Byte: line.End.Byte}
	return at
}
