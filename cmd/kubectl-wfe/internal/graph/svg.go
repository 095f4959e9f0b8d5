package graph

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// The dimensions of the image, in pixels.
const (
	margin     = 16
	boxHeight  = 44
	rowGap     = 16
	bendHeight = 12
	columnGap  = 56
	charWidth  = 7.6
	minWidth   = 96
)

// box is the rectangle of a slot.
type box struct{ x, y, width, height float64 }

// Picture returns the graph of an execution as SVG for a page. Each step is a link to the address that link returns, and
// each element has a class for the page's style sheet.
func Picture(wfe *wfev1.WorkflowExecution, link func(step string) string) (string, error) {
	nodes, err := read(wfe)
	if err != nil {
		return "", err
	}
	return svg(wfe.Name, nodes, link), nil
}

func svg(name string, nodes []node, link func(step string) string) string {
	p := arrange(nodes)
	boxes, width, height := p.measure(nodes)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="13" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(name))
	b.WriteString(`<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0 0L8 4L0 8z" fill="#777"/></marker></defs>` + "\n")
	for _, path := range p.edges {
		fmt.Fprintf(&b, `<path class="edge" d="%s" fill="none" stroke="#777" marker-end="url(#end)"/>`+"\n", curve(path, boxes))
	}
	for i := range nodes {
		if link == nil {
			drawBox(&b, &nodes[i], boxes[i])
			continue
		}
		fmt.Fprintf(&b, `<a href="%s">`, html.EscapeString(link(nodes[i].name)))
		drawBox(&b, &nodes[i], boxes[i])
		b.WriteString("</a>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// measure places the layers from left to right, each as wide as its widest label, and centers them vertically.
func (p *layout) measure(nodes []node) (boxes []box, width, height float64) {
	boxes = make([]box, len(p.slots))
	heights := make([]float64, len(p.layers))
	for l, layer := range p.layers {
		for _, i := range layer {
			heights[l] += p.heightOf(i) + rowGap
		}
		height = max(height, heights[l]-rowGap)
	}
	x := float64(margin)
	for l, layer := range p.layers {
		column := float64(0)
		for _, i := range layer {
			if n := p.slots[i].node; n >= 0 {
				column = max(column, widthOf(&nodes[n]))
			}
		}
		y := margin + (height-(heights[l]-rowGap))/2
		for _, i := range layer {
			boxes[i] = box{x: x, y: y, width: column, height: p.heightOf(i)}
			y += p.heightOf(i) + rowGap
		}
		x += column + columnGap
	}
	return boxes, x - columnGap + margin, height + 2*margin
}

func (p *layout) heightOf(i int) float64 {
	if p.slots[i].node < 0 {
		return bendHeight
	}
	return boxHeight
}

func widthOf(n *node) float64 {
	longest := max(utf8.RuneCountInString(n.name), utf8.RuneCountInString(n.label))
	return max(minWidth, float64(longest)*charWidth+24)
}

// curve returns the path of an edge from the right side of its first box through its bends to the left side of its last.
func curve(path []int, boxes []box) string {
	first := boxes[path[0]]
	x, y := first.x+first.width, first.y+first.height/2
	var b strings.Builder
	fmt.Fprintf(&b, "M%.1f %.1f", x, y)
	to := func(nextX, nextY float64) {
		middle := (x + nextX) / 2
		fmt.Fprintf(&b, "C%.1f %.1f %.1f %.1f %.1f %.1f", middle, y, middle, nextY, nextX, nextY)
		x, y = nextX, nextY
	}
	for n, i := range path[1:] {
		next := boxes[i]
		to(next.x, next.y+next.height/2)
		if n < len(path)-2 {
			x = next.x + next.width
			fmt.Fprintf(&b, "H%.1f", x)
		}
	}
	return b.String()
}

func drawBox(b *strings.Builder, n *node, at box) {
	corner, dash := 8.0, ""
	if n.approval {
		corner = at.height / 2
	}
	if !n.critical {
		dash = ` stroke-dasharray="4 3"`
	}
	phase, class := string(n.phase), "step "+string(n.phase)
	if phase == "" {
		phase, class = "not run", "step"
	}
	fmt.Fprintf(b, `<g class="%s"><title>%s: %s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.0f" fill="%s" stroke="#555"%s/>`,
		class, html.EscapeString(n.name), phase, at.x, at.y, at.width, at.height, corner, n.fill(), dash)
	middle := at.x + at.width/2
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle" font-weight="bold" fill="#111">%s</text>`, middle, at.y+18, html.EscapeString(n.name))
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle" font-size="11" fill="#555">%s</text></g>`+"\n", middle, at.y+34, html.EscapeString(n.label))
}
