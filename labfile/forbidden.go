package labfile

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// tooDeep says whether a file could be nested so deeply that HCL's parser, which calls itself for each level, would run
// out of stack, which ends the program. It counts what could open a level, in text and comments too: no lab comes near.
func tooDeep(src []byte) bool {
	const most = 5000
	n := 0
	for _, c := range src {
		switch c {
		case '[', '(', '{', '!', '-', '?':
			n++
		}
	}
	return n > most
}

// forbidden finds what HCL's syntax has and the language leaves out, so that reading a lab, which may come from anywhere,
// costs no more than its length: for expressions, and numbers whose digits would fill the memory when written out.
func forbidden(body *hclsyntax.Body) hcl.Diagnostics {
	return hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n := n.(type) {
		case *hclsyntax.ForExpr:
			return hcl.Diagnostics{problem(hcl.DiagError, n.Range(), "Loops are not allowed",
				"A lab file has no for expressions: it lists what it has, so that a reader sees it. Write the values out.")}
		case *hclsyntax.LiteralValueExpr:
			return outOfRange(n.Val, n.SrcRange)
		case *hclsyntax.ScopeTraversalExpr:
			return outOfRangeIndex(n.Traversal)
		case *hclsyntax.RelativeTraversalExpr:
			return outOfRangeIndex(n.Traversal)
		}
		return nil
	})
}

func outOfRangeIndex(t hcl.Traversal) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, step := range t {
		if i, ok := step.(hcl.TraverseIndex); ok {
			diags = append(diags, outOfRange(i.Key, i.SrcRange)...)
		}
	}
	return diags
}

func outOfRange(v cty.Value, at hcl.Range) hcl.Diagnostics {
	const most = 64 // binary digits on either side of the point
	if v.Type() != cty.Number || v.IsNull() || !v.IsKnown() {
		return nil
	}
	f := v.AsBigFloat()
	if e := f.MantExp(nil); !f.IsInf() && -most <= e && e <= most {
		return nil
	}
	return hcl.Diagnostics{problem(hcl.DiagError, at, "Number out of range", "No setting is that large or that close to zero.")}
}
