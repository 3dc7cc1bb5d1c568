// Package store measures repositories with very many builds, generated as the
// ledger would have written them, beside git itself:
//
//	go test -run '^$' -bench Scale -benchtime 1x -timeout 30m ./bench/store -builds 1000,10000,100000
//
// The last column is how a figure grows with the number of builds: 0 is not at
// all, 1 is in proportion. Results stand in docs/benchmarks.md and docs/scaling.md.
package store

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var (
	sizes    = flag.String("builds", "1000", "numbers of builds to measure, with commas between")
	withLogs = flag.Bool("logs", false, "builds have logs of about 20 KiB")
	seed     = flag.Uint64("seed", 1, "what the builds are made from")
)

// BenchmarkScale prints its table itself; the iterations are its own.
func BenchmarkScale(b *testing.B) {
	velocity := filepath.Join(b.TempDir(), "velocity")
	run(b, "", nil, "go", "build", "-trimpath", "-o", velocity, "github.com/velocity-ci/velocity")
	t := &table{}
	for text := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 100 {
			b.Fatalf("-builds %q: %q is not a number of builds from 100", *sizes, text)
		}
		y := &yard{B: b, h: newHistory(n, *seed, *withLogs), dir: newRepo(b), velocity: velocity}
		t.begin(n)
		began := time.Now()
		generate(b, y.dir, y.h)
		t.add("generated in", ms, time.Since(began).Seconds())
		y.packing(t)
		y.reading(t)
		y.exchanging(t)
		y.writing(t)
	}
	t.print(os.Stdout)
}

// A unit says how a figure is shown: times in seconds, sizes in bytes.
type unit struct {
	scale float64
	name  string
}

var (
	ms        = unit{1e3, "ms"}
	mib       = unit{1.0 / (1 << 20), "MiB"}
	kib       = unit{1.0 / (1 << 10), "KiB"}
	bytesEach = unit{1, "B"}
	perSecond = unit{1, "/s"}
	count     = unit{1, ""}
)

// A table has a column for each number of builds.
type table struct {
	sizes []int
	rows  []row
}

type row struct {
	name   string
	unit   unit
	values []float64
}

func (t *table) begin(n int) { t.sizes = append(t.sizes, n) }

func (t *table) add(name string, u unit, value float64) {
	for i := range t.rows {
		if t.rows[i].name == name {
			t.rows[i].values = append(t.rows[i].values, value)
			return
		}
	}
	t.rows = append(t.rows, row{name: name, unit: u, values: []float64{value}})
}

// slope is the exponent of growth between the first and the last size.
func (t *table) slope(r row) string {
	last := len(t.sizes) - 1
	if last < 1 || r.values[0] <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", math.Log(r.values[last]/r.values[0])/math.Log(float64(t.sizes[last])/float64(t.sizes[0])))
}

func (t *table) print(to io.Writer) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\nbuilds\t")
	for _, n := range t.sizes {
		fmt.Fprintf(w, "%d\t", n)
	}
	fmt.Fprintln(w, "\tslope\t")
	for _, r := range t.rows {
		fmt.Fprintf(w, "%s\t", r.name)
		for _, v := range r.values {
			fmt.Fprintf(w, "%.*f\t", digits(v*r.unit.scale), v*r.unit.scale)
		}
		fmt.Fprintf(w, "%s\t%s\t\n", r.unit.name, t.slope(r))
	}
	w.Flush()
}

// digits are the decimals worth printing.
func digits(v float64) int {
	if v < 10 {
		return 1
	}
	return 0
}
