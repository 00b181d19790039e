package labfile

import (
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/saigen-lab/saigen/lab"
)

// figureBlock is one number of an assertion that stands in the results.
type figureBlock struct {
	Name     string   `hcl:"name,label"`
	Value    string   `hcl:"value"`
	Unit     lab.Unit `hcl:"unit,optional"`
	Incident string   `hcl:"incident,optional"`
}

// figures checks what an assertion says of its numbers. settings are the kind's; settled says that they are right, so that
// they can be asked which numbers there are.
func (e *evaluator) figures(d *decoder, settings lab.Observer, given []figureBlock, settled bool) []lab.Figure {
	var blocks []*hclsyntax.Block
	for _, b := range d.block.body.Blocks {
		if b.Type == "figure" {
			blocks = append(blocks, b)
		}
	}
	var numbers []string
	if n, ok := settings.(lab.Numbered); ok && settled {
		numbers = n.Numbers()
	}
	var units []string
	for _, u := range lab.Units() {
		units = append(units, string(u))
	}
	var out []lab.Figure
	for i, f := range given {
		b := blocks[i]
		if f.Name == "" { // without one name, which was reported
			continue
		}
		e.checkName(f.Name, b.LabelRanges[0])
		if first, twice := d.scope.figures[f.Name]; twice {
			e.fail(b.LabelRanges[0], "Duplicate figure", "A figure %q is declared at %s already. Results name a figure by its name alone: give one of them another one.", f.Name, place(first))
		} else {
			d.scope.figures[f.Name] = b.LabelRanges[0]
		}
		if value := b.Body.Attributes["value"]; value != nil && numbers != nil && !slices.Contains(numbers, f.Value) {
			e.fail(value.Expr.Range(), "Unknown number", "What this assertion sees has no number %q, so the figure would always be empty.%s", f.Value, hint(f.Value, numbers, "It has"))
		}
		if unit := b.Body.Attributes["unit"]; unit != nil && f.Unit != "" && !slices.Contains(units, string(f.Unit)) {
			e.fail(unit.Expr.Range(), "Unknown unit", "%q is not how a figure can be written.%s Without a unit it is a plain number.", string(f.Unit), hint(string(f.Unit), units, "It can be written in"))
		}
		out = append(out, lab.Figure(f))
	}
	return out
}
