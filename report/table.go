package report

import (
	"io"
	"strings"
)

// table prints rows in columns as wide as their widest cell; the last column is cut where the line ends.
type table struct {
	st   Style
	head []string
	rows [][]cell
}

type cell struct {
	text   string
	colour colour
	right  bool // right-aligned
	keep   bool // never cut, as it is there to be copied
}

func (t *table) row(cells ...cell) {
	for i := range cells {
		cells[i].text = clean(cells[i].text)
	}
	t.rows = append(t.rows, cells)
}

func (t *table) print(w io.Writer) {
	p := printer{w: w, st: t.st}
	const most = 28 // columns of a cell that may be cut and is not the last
	size := make([]int, len(t.head))
	for i, h := range t.head {
		size[i] = width(h)
		for _, r := range t.rows {
			n := width(r[i].text)
			if !r[i].keep && i < len(t.head)-1 {
				n = min(n, most)
			}
			size[i] = max(size[i], n)
		}
	}
	line := func(cells []cell) {
		s := ""
		for i, c := range cells {
			text := t.st.cut(c.text, size[i])
			fill := strings.Repeat(" ", size[i]-width(text))
			text = t.st.paint(c.colour, text)
			if c.right {
				s += fill + text + "  "
			} else {
				s += text + fill + "  "
			}
		}
		p.fit(strings.TrimRight(s, " "))
	}
	var head []cell
	for i, h := range t.head {
		right := len(t.rows) > 0 && t.rows[0][i].right
		head = append(head, cell{text: h, colour: bold, right: right})
	}
	line(head)
	for _, r := range t.rows {
		line(r)
	}
}
