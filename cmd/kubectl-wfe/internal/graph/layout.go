package graph

import (
	"cmp"
	"slices"
)

// sweeps is the number of passes that reorder the layers; more passes change little.
const sweeps = 4

// slot is a position in the layout: a step, or a bend of an edge that crosses a layer.
type slot struct {
	// node is the index of the step, or -1 for a bend.
	node         int
	layer, order int
	before       []int
	after        []int
}

// layout has the slots, the slots of each layer, and the slots that each edge passes through.
type layout struct {
	slots  []slot
	layers [][]int
	edges  [][]int
}

// arrange puts each step into the layer after its deepest parent, adds a bend where an edge crosses a layer, and reorders
// each layer by the mean position of its neighbors, forwards and backwards, to reduce crossings.
func arrange(nodes []node) *layout {
	p := &layout{}
	for i := range nodes {
		layer := 0
		for _, parent := range nodes[i].parents {
			layer = max(layer, p.slots[parent].layer+1)
		}
		p.slots = append(p.slots, slot{node: i, layer: layer})
	}
	for i := range nodes {
		for _, parent := range nodes[i].parents {
			p.connect(parent, i)
		}
	}
	for i := range p.slots {
		for len(p.layers) <= p.slots[i].layer {
			p.layers = append(p.layers, nil)
		}
		layer := &p.layers[p.slots[i].layer]
		p.slots[i].order = len(*layer)
		*layer = append(*layer, i)
	}
	for range sweeps {
		for l := 1; l < len(p.layers); l++ {
			p.reorder(l, func(s *slot) []int { return s.before })
		}
		for l := len(p.layers) - 2; l >= 0; l-- {
			p.reorder(l, func(s *slot) []int { return s.after })
		}
	}
	return p
}

func (p *layout) connect(from, to int) {
	path := []int{from}
	for layer := p.slots[from].layer + 1; layer < p.slots[to].layer; layer++ {
		p.slots = append(p.slots, slot{node: -1, layer: layer})
		path = append(path, len(p.slots)-1)
	}
	path = append(path, to)
	for i := 1; i < len(path); i++ {
		p.slots[path[i-1]].after = append(p.slots[path[i-1]].after, path[i])
		p.slots[path[i]].before = append(p.slots[path[i]].before, path[i-1])
	}
	p.edges = append(p.edges, path)
}

func (p *layout) reorder(layer int, neighbours func(*slot) []int) {
	want := make(map[int]float64, len(p.layers[layer]))
	for _, i := range p.layers[layer] {
		s := &p.slots[i]
		near := neighbours(s)
		if len(near) == 0 {
			want[i] = float64(s.order)
			continue
		}
		sum := 0
		for _, n := range near {
			sum += p.slots[n].order
		}
		want[i] = float64(sum) / float64(len(near))
	}
	slices.SortStableFunc(p.layers[layer], func(a, b int) int { return cmp.Compare(want[a], want[b]) })
	for order, i := range p.layers[layer] {
		p.slots[i].order = order
	}
}
