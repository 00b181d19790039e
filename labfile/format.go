package labfile

import (
	"bytes"
	"regexp"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format lays out a lab file in the one way in which all are laid out. Comments and order stay. A file with broken
// syntax is not touched: the mistakes are returned instead.
func Format(src []byte, filename string) ([]byte, Diagnostics) {
	c := newCollector()
	if len(src) > maxBytes {
		c.fail(wholeFile(filename), "File too large", "A lab file has at most %d KiB.", maxBytes>>10)
		return nil, c.result()
	}
	if _, ok := c.syntax(src, filename); !ok {
		return nil, c.result()
	}
	out := layOut(lineEnd.ReplaceAll(src, []byte("\n")))
	for range 4 { // what HCL's formatter moves may have to be aligned anew
		again := layOut(out)
		if bytes.Equal(again, out) {
			break
		}
		out = again
	}
	return out, c.result()
}

var lineEnd = regexp.MustCompile(`\r+\n`)

func layOut(src []byte) []byte {
	out := bytes.TrimRight(bytes.TrimLeft(hclwrite.Format(src), "\n"), " \t\n")
	if len(out) > 0 {
		out = append(out, '\n')
	}
	return out
}

// syntax parses a file, and keeps its source for snippets. false: it is broken, and that has been reported.
func (c *collector) syntax(src []byte, filename string) (*hcl.File, bool) {
	c.files[filename] = &hcl.File{Bytes: src}
	if tooDeep(src) {
		c.fail(wholeFile(filename), "Too much nesting", "The file has more brackets and signs than any lab needs, and would take too much memory to read.")
		return nil, false
	}
	file, diags := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	if file != nil && file.Body != nil {
		c.files[filename] = file
	}
	c.add(diags...)
	return file, !diags.HasErrors()
}
