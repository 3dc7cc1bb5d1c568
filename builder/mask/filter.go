package mask

// A filter tells quickly where no variant begins (Wu and Manber, 1994). Whatever
// begins at i has its first window bytes there, with no line break looked past,
// so it contains the last gram of that window; how far this gram is from the end
// of the window in any variant is how far one may jump.
type filter struct {
	jump [1 << gramBits]uint8 // by hash of a gram
}

const (
	window   = min(MinLength, foldFrom) // bytes
	gram     = 3                        // bytes; two are too few for twenty secrets, whose encodings use most pairs
	gramBits = 15                       // so that the table fits into a first-level cache
)

func newFilter(variants []variant) *filter {
	f := new(filter)
	for i := range f.jump {
		f.jump[i] = window - gram + 1
	}
	for _, v := range variants {
		for i := range window - gram + 1 {
			h := hash(v.text[i], v.text[i+1], v.text[i+2])
			f.jump[h] = min(f.jump[h], uint8(window-gram-i))
		}
	}
	return f
}

func hash(a, b, c byte) uint32 {
	return (uint32(a) | uint32(b)<<8 | uint32(c)<<16) * 0x9e3779b1 >> (32 - gramBits)
}

// skip returns the first index, from i on, at which a variant may begin: either
// its first bytes look like one, or too few bytes are left to tell.
func (f *filter) skip(p []byte, i int) int {
	for last := i + window - 1; last < len(p); {
		j := f.jump[hash(p[last-2], p[last-1], p[last])]
		if j == 0 {
			return last - window + 1
		}
		last += int(j)
		i += int(j)
	}
	return min(i, len(p))
}
