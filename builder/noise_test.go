package builder

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/storage/running"
)

// A noise is what lies between a builder and the architect's copies of its logs:
// pieces are lost, come twice, late, cut off or with a wrong byte, and so do the
// answers to them.
type noise struct {
	logs *running.Logs

	mu     sync.Mutex
	random *rand.Rand
	late   []dispatch.Chunk
	wrong  int    // pieces that may still come with a wrong byte
	whole  []byte // the log that was taken with the result
}

func (n *noise) log(c dispatch.Chunk) (have int64, err error, answered bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.late) > 0 && n.random.IntN(2) == 0 {
		_, _ = n.logs.Write(n.late[0]) // nobody waits for its answer any more
		n.late = n.late[1:]
	}
	switch n.random.IntN(8) {
	case 0:
		return 0, errLost, true
	case 1:
		_, _ = n.logs.Write(c) // its answer is lost, whatever it is
		return 0, errLost, true
	case 2:
		if have, err = n.logs.Write(c); err != nil {
			return have, err, true
		}
	case 3:
		c.Data = c.Data[:n.random.IntN(len(c.Data)+1)]
	case 4:
		c.Data = bytes.Clone(c.Data) // it is the builder's until Log returns
		n.late = append(n.late, c)
		return 0, errLost, true
	case 5:
		if n.wrong > 0 && len(c.Data) > 0 {
			n.wrong--
			c.Data = bytes.Clone(c.Data)
			c.Data[n.random.IntN(len(c.Data))] ^= 1
		}
	}
	have, err = n.logs.Write(c)
	return have, err, true
}

// end takes a result with the log that it speaks of, as the architect does.
func (n *noise) end(r dispatch.Result) error {
	file, err := n.logs.Finish(r)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.whole, err = os.ReadFile(file.Text)
	return err
}

// Whatever the network does to its pieces, a log arrives whole, or with a mark
// where the builder left something out.
func TestLogThroughNoise(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		script, want string
		limit        int64
		mark         string
	}{
		"many lines": {
			script: `i=0; while [ $i -lt 20000 ]; do echo "line $i of a log that takes several chunks"; i=$((i+1)); done`,
			want: func() string {
				var b strings.Builder
				for i := range 20000 {
					fmt.Fprintf(&b, "line %d of a log that takes several chunks\n", i)
				}
				return b.String()
			}(),
		},
		"one long line":           {script: `head -c 1048576 /dev/zero | tr '\0' x`, want: long},
		"an end right after text": {script: `printf 'last words'; kill -KILL $$`, want: "last words"},
		"a flood":                 {script: `head -c 4000000 /dev/zero | tr '\0' '\n'`, limit: 64 << 10, mark: "bytes left out here"},
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			logs, err := running.New(filepath.Join(t.TempDir(), "running"))
			if err != nil {
				t.Fatal(err)
			}
			n := &noise{logs: logs, random: rand.New(rand.NewPCG(seed, 0)), wrong: 3}
			w := newBench(t)
			w.LogLimit = c.limit
			w.ear.onLog, w.ear.onEnd = n.log, n.end
			r := w.build(t, script(c.script))
			if int64(len(n.whole)) != r.Log.Bytes || c.mark == "" && string(n.whole) != c.want {
				t.Errorf("%d bytes arrived; the result says %d, the step printed %d", len(n.whole), r.Log.Bytes, len(c.want))
			}
			if c.mark != "" && strings.Count(string(n.whole), c.mark) != 1 {
				t.Errorf("the log of %d bytes has no mark %q", len(n.whole), c.mark)
			}
			w.checkClean(t)
		})
	}
}
