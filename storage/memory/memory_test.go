package memory

import (
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

func TestLedger(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T, folded func(build.ID)) (ledgertest.Ledger, plan.Commit) {
		l := New(folded)
		t.Cleanup(l.Release)
		return l, plan.Commit(strings.Repeat("1", 40))
	})
}
