package app

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/blob"
)

// keepFlags adds the six flags that say what stays of finished builds; without
// any, all does.
func keepFlags(cmd *cobra.Command) *storage.Retention {
	keep := &storage.Retention{}
	for _, of := range []struct {
		name, what string
		bound      *storage.Bound
	}{{"logs", "logs", &keep.Logs}, {"builds", "blocks of builds, with their logs,", &keep.Builds}} {
		flags := cmd.Flags()
		flags.Var((*ageValue)(&of.bound.Age), "keep-"+of.name+"-for", "keep "+of.what+" for so `long` after the build finished: 30d, 12w, 1y, 36h")
		flags.Var((*sizeValue)(&of.bound.Bytes), "keep-"+of.name+"-size", "keep the newest "+of.what+" of so much in all: `5G`")
		flags.Var((*countValue)(&of.bound.Count), "keep-"+of.name+"-count", "keep the "+of.what+" of the newest `N` builds")
	}
	return keep
}

// keepBlobFlags adds the four flags that say what stays of artifacts and caches;
// without any, all does.
func keepBlobFlags(cmd *cobra.Command) *blob.Retention {
	keep := &blob.Retention{}
	flags := cmd.Flags()
	flags.Var((*ageValue)(&keep.Artifacts.Age), "keep-artifacts-for", "keep artifacts for so `long`: 30d, 12w, 1y, 36h")
	flags.Var((*sizeValue)(&keep.Artifacts.Bytes), "keep-artifacts-size", "keep the newest artifacts of so much in all, packed: `5G`")
	flags.Var((*ageValue)(&keep.Caches.Age), "keep-caches-for", "keep caches that were used within so `long`: 30d, 12w, 1y, 36h")
	flags.Var((*sizeValue)(&keep.Caches.Bytes), "keep-caches-size", "keep the caches used last of so much in all, packed: `5G`")
	return keep
}

// An ageValue is a flag like 30d.
type ageValue time.Duration

// daysIn are the units that time.ParseDuration lacks.
var daysIn = map[byte]int64{'d': 1, 'w': 7, 'y': 365}

// Set implements pflag.Value.
func (v *ageValue) Set(text string) error {
	const day = 24 * time.Hour
	age, err := time.ParseDuration(text)
	if days := daysIn[last(text)]; days > 0 {
		var n int64
		n, err = strconv.ParseInt(text[:len(text)-1], 10, 64)
		if err == nil && n > math.MaxInt64/int64(day)/days {
			err = strconv.ErrRange
		}
		age = time.Duration(n*days) * day
	}
	if err != nil || age <= 0 {
		return fmt.Errorf("%q is no time to keep something: 30d, 12w, 1y or 36h are", text)
	}
	*v = ageValue(age)
	return nil
}

func last(text string) byte {
	if text == "" {
		return 0
	}
	return text[len(text)-1]
}

// String implements pflag.Value.
func (v *ageValue) String() string {
	if *v == 0 {
		return ""
	}
	return time.Duration(*v).String()
}

// Type implements pflag.Value.
func (v *ageValue) Type() string { return "duration" }

// A sizeValue is a flag like 5G, in bytes; k, M, G and T are powers of 1000.
type sizeValue int64

// Set implements pflag.Value.
func (v *sizeValue) Set(text string) error {
	digits := strings.TrimRight(text, "kMGT")
	unit := int64(1)
	switch suffix := text[len(digits):]; suffix {
	case "":
	case "k", "M", "G", "T":
		for range strings.Index("kMGT", suffix) + 1 {
			unit *= 1000
		}
	default:
		digits = ""
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return fmt.Errorf("%q is no size: 5G, 500M or 100000 are", text)
	}
	*v = sizeValue(n * unit)
	return nil
}

// String implements pflag.Value.
func (v *sizeValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*v), 10)
}

// Type implements pflag.Value.
func (v *sizeValue) Type() string { return "size" }

// A countValue is a flag with a number of at least 1.
type countValue int

// Set implements pflag.Value.
func (v *countValue) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is no number of builds to keep", text)
	}
	*v = countValue(n)
	return nil
}

// String implements pflag.Value.
func (v *countValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.Itoa(int(*v))
}

// Type implements pflag.Value.
func (v *countValue) Type() string { return "count" }
