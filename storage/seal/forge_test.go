package seal_test

import (
	"encoding/json"
	"testing"

	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/seal"
)

// What somebody does who may write the repository and does not have the key.

// files are the vault's records, by their paths.
func files(t *testing.T, repo *git.Repository) map[string]string {
	t.Helper()
	head, err := repo.Ref(seal.Ref)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := repo.List(head, "secrets")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		data, err := repo.ReadFile(head, "secrets/"+e.Name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		all["secrets/"+e.Name] = string(data)
	}
	return all
}

// write puts records into a vault's newest tree.
func write(t *testing.T, repo *git.Repository, records map[string]string) {
	t.Helper()
	head, err := repo.Ref(seal.Ref)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := repo.Commit(head)
	if err != nil {
		t.Fatal(err)
	}
	batch := repo.NewBatch()
	var edits []git.TreeEdit
	for path, text := range records {
		edits = append(edits, git.TreeEdit{Path: path, Mode: git.ModeFile, Hash: batch.Blob([]byte(text))})
	}
	tree, err := batch.EditTree(commit.Tree, edits)
	if err != nil {
		t.Fatal(err)
	}
	made := batch.Commit(git.CommitSpec{Name: "Eve", Email: "eve@example.com", When: noon, Tree: tree, Parents: []git.Hash{head}, Message: "forged\n"})
	if err := repo.Write(t.Context(), batch, []git.RefUpdate{{Name: seal.Ref, Old: head, New: made}}); err != nil {
		t.Fatal(err)
	}
}

// rewrite changes the only record where it is, and e to the number that it now has.
// restore puts back what was there before.
func rewrite(t *testing.T, repo *git.Repository, change func(string) string, e *seal.Entry) (restore func()) {
	t.Helper()
	before := files(t, repo)
	for path, text := range before {
		changed := change(text)
		if changed == text {
			t.Fatalf("nothing was changed in %s", text)
		}
		var says struct{ Number int }
		if err := json.Unmarshal([]byte(changed), &says); err != nil {
			t.Fatal(err)
		}
		e.Number = says.Number
		write(t, repo, map[string]string{path: changed})
	}
	return func() { write(t, repo, before) }
}

// moveRecord copies the record of one vault into another.
func moveRecord(t *testing.T, from, to *git.Repository) {
	t.Helper()
	write(t, to, files(t, from))
}
