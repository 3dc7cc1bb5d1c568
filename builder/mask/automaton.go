package mask

// An automaton finds variants in text (Aho and Corasick, 1975). Its nodes are
// the beginnings of variants; being at a node means that the text read so far
// ends with these bytes and with no longer beginning.
//
// Nodes are kept as lists of children, not as rows of a table. The filter keeps
// ordinary text away from the nodes, so that they need not be fast, and lists
// take a hundredth of the memory: tens of secrets cost below half a megabyte.
type automaton struct {
	nodes  []node     // nodes[root] is the empty beginning
	top    [256]int32 // children of root by byte, root where there is none
	filter *filter
}

const root = 0

type node struct {
	child   int32 // first child; root means none
	sibling int32 // next child of the same parent
	fail    int32 // longest proper suffix that is a node too
	depth   int32 // number of bytes
	match   int32 // length of the longest variant that is a suffix, or 0
	fold    int32 // longest suffix, or this node, at which a line break is looked past; root means none
	label   byte
	folds   bool // beginning of a folding variant
	ends    bool // a folding variant ends here
}

func newAutomaton(variants []variant) *automaton {
	most := 1
	for _, v := range variants {
		most += len(v.text)
	}
	a := &automaton{nodes: make([]node, 1, most)}
	for _, v := range variants {
		a.insert(v)
	}
	a.link()
	a.filter = newFilter(variants)
	return a
}

func (a *automaton) insert(v variant) {
	at := int32(root)
	for i, c := range v.text {
		next := a.child(at, c)
		if next == root {
			next = int32(len(a.nodes))
			a.nodes = append(a.nodes, node{label: c, depth: int32(i + 1), sibling: a.nodes[at].child})
			a.nodes[at].child = next
			if at == root {
				a.top[c] = next
			}
		}
		at = next
		a.nodes[at].folds = a.nodes[at].folds || v.folds
	}
	a.nodes[at].match = int32(len(v.text))
	a.nodes[at].ends = a.nodes[at].ends || v.folds
}

// link sets what depends on suffixes, shorter nodes before longer ones.
func (a *automaton) link() {
	queue := make([]int32, 1, len(a.nodes))
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for c := a.nodes[at].child; c != root; c = a.nodes[c].sibling {
			n := &a.nodes[c]
			if at != root {
				n.fail = a.next(a.nodes[at].fail, n.label)
			}
			n.match = max(n.match, a.nodes[n.fail].match)
			n.fold = a.nodes[n.fail].fold
			if n.folds && n.depth >= foldFrom && n.child != root {
				n.fold = c
			}
			queue = append(queue, c)
		}
	}
}

// child returns the node that is at and then c, or root.
func (a *automaton) child(at int32, c byte) int32 {
	if at == root {
		return a.top[c]
	}
	n := a.nodes[at].child
	for n != root && a.nodes[n].label != c {
		n = a.nodes[n].sibling
	}
	return n
}

// next returns the node to be at after one more byte.
func (a *automaton) next(at int32, c byte) int32 {
	for {
		if n := a.child(at, c); n != root || at == root {
			return n
		}
		at = a.nodes[at].fail
	}
}
