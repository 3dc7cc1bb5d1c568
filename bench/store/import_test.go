package store

import (
	"bufio"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
)

// The store that is generated.
const storeID = "benchs"

// generate fills the bare repository dir with the builds of a history, as if the
// ledger had written and folded them, by one stream for git fast-import: a commit
// of archive, logs and notes for each hundred. TestGeneratedIsWhatTheLedgerWrites
// holds it to that.
func generate(tb testing.TB, dir string, h *history) {
	tb.Helper()
	reader, writer := io.Pipe()
	go func() {
		w := &importer{out: bufio.NewWriterSize(writer, 1<<20), notes: map[int]string{}}
		w.history(h)
		writer.CloseWithError(errors.Join(w.err, w.out.Flush()))
	}()
	gitStdin(tb, dir, reader, "-c", "core.compression=1", "fast-import", "--quiet", "--done")
	for _, ref := range strings.Fields(git(tb, dir, "for-each-ref", "--format=%(refname)", "refs/velocity/"+storeID+"/logs")) {
		root := git(tb, dir, "commit-tree", "-m", "logs", ref+"^{tree}") // blocks of logs have no history
		git(tb, dir, "update-ref", ref, root)
	}
	next := gitStdin(tb, dir, strings.NewReader(fmt.Sprint(h.n+1)), "hash-object", "-w", "--stdin")
	git(tb, dir, "update-ref", "refs/velocity/"+storeID+"/seq", next)
	claim(tb, dir)
	git(tb, dir, "pack-refs", "--all")
}

// claim makes the store the repository's own.
func claim(tb testing.TB, dir string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "velocity"), 0o777); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "velocity", "store"), []byte(storeID+"\n"), 0o666); err != nil {
		tb.Fatal(err)
	}
}

// importer writes the stream.
type importer struct {
	out   *bufio.Writer
	err   error
	marks int            // those of the commits come first
	notes map[int]string // so far, by the commit's mark
}

func (w *importer) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(w.out, format, args...); err != nil && w.err == nil {
		w.err = err
	}
}

func (w *importer) data(content []byte) {
	w.printf("data %d\n", len(content))
	if _, err := w.out.Write(content); err != nil && w.err == nil {
		w.err = err
	}
	w.printf("\n")
}

// blob writes a blob and returns its mark.
func (w *importer) blob(content []byte) int {
	w.marks++
	w.printf("blob\nmark :%d\n", w.marks)
	w.data(content)
	return w.marks
}

func (w *importer) commit(ref string, h *history, message string) {
	w.printf("commit %s\ncommitter Velocity <velocity@localhost> %d +0000\n", ref, h.at(h.n).Unix())
	w.data([]byte(message))
}

const perCommit = 100

func (w *importer) history(h *history) {
	for i := range h.commits {
		c := h.commit(i)
		w.printf("commit refs/heads/main\nmark :%d\nauthor %s\ncommitter %s\n", i+1, c.who, c.who)
		w.data([]byte(c.message))
		w.printf("\n")
	}
	w.marks = len(h.commits)
	for branch, i := range h.branches() {
		w.printf("reset %s\nfrom :%d\n\n", branch, i+1)
	}
	for first := 1; first <= h.n && w.err == nil; first += perCommit {
		w.builds(h, first, min(first+perCommit-1, h.n))
	}
	w.printf("done\n")
}

// A file is a blob's place in the stream.
type file struct {
	ref, path string
	mark      int
}

// builds writes some builds. Files of a kind follow one another, so that git
// stores them as differences.
func (w *importer) builds(h *history, first, last int) {
	var files []file
	kinds := map[string][]func(){}
	later := func(kind, ref, path string, content []byte) {
		kinds[kind] = append(kinds[kind], func() { files = append(files, file{ref, path, w.blob(content)}) })
	}
	notes := map[int]string{}
	for number := first; number <= last; number++ {
		b, moves, p := h.build(number)
		state, err1 := storage.EncodeBuild(b)
		events, err2 := storage.EncodeMoves(moves)
		drawn, err3 := p.Encode()
		w.err = errors.Join(w.err, err1, err2, err3)
		archive := fmt.Sprintf("refs/velocity/%s/archive/%04d", storeID, number/10000)
		place := fmt.Sprintf("%02d/%010d/", number/100%100, number)
		later("build", archive, place+"build.json", state)
		later("events", archive, place+"events.jsonl", events)
		later("plan", archive, place+"plan.json", drawn)
		for _, task := range h.logged(b) {
			logs := fmt.Sprintf("refs/velocity/%s/logs/%05d", storeID, number/1000)
			text, times := h.log(b, task)
			later("log", logs, place+task+".1.txt", text)
			later("times", logs, place+task+".1.times", times)
		}
		of := commitOf(number) + 1
		w.notes[of] += storage.NoteOf(b).String() + "\n"
		notes[of] = w.notes[of]
	}
	for _, kind := range []string{"build", "events", "plan", "log", "times"} {
		for _, write := range kinds[kind] {
			write()
		}
	}
	w.refs(h, files, fmt.Sprintf("builds %d to %d\n", first, last))
	w.commit(storage.NotesRef, h, "notes\n")
	for of, text := range notes {
		w.printf("N inline :%d\n", of)
		w.data([]byte(text))
	}
	w.printf("\n")
}

// refs writes a commit of each ref that files belong to.
func (w *importer) refs(h *history, files []file, message string) {
	slices.SortStableFunc(files, func(a, b file) int { return strings.Compare(a.ref, b.ref) })
	for i, f := range files {
		if i == 0 || files[i-1].ref != f.ref {
			w.commit(f.ref, h, message)
		}
		w.printf("M 100644 :%d %s\n", f.mark, f.path)
	}
	w.printf("\n")
}

// commitHash is the name that git gives a commit without files.
func commitHash(parent plan.Commit, who, message string) plan.Commit {
	const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
	text := "tree " + emptyTree + "\n"
	if parent != "" {
		text += "parent " + string(parent) + "\n"
	}
	text += "author " + who + "\ncommitter " + who + "\n\n" + message
	sum := sha1.Sum(fmt.Appendf(nil, "commit %d\x00%s", len(text), text))
	return plan.Commit(hex.EncodeToString(sum[:]))
}
