package labfile

import (
	"bytes"

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
	file, diags := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	if c.files[filename] = file; file == nil || file.Body == nil {
		c.files[filename] = &hcl.File{Bytes: src}
	}
	if c.add(diags...); diags.HasErrors() {
		return nil, c.result()
	}
	out := hclwrite.Format(bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n")))
	out = bytes.TrimLeft(out, "\n")
	if out = bytes.TrimRight(out, " \t\n"); len(out) > 0 {
		out = append(out, '\n')
	}
	return out, c.result()
}
