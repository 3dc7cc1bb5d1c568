package require

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// forgeData names the folder of recordings when it is not where it is looked for.
const forgeData = "VELOCITY_FORGE_DATA"

// ForgeData is the folder of what forges were recorded to send and to answer:
// github, gitlab, spliced, rest and openapi. It is no part of the repository, as it
// is not ours to give away; without it the test ends as Have says for "forges". It
// is $VELOCITY_FORGE_DATA, or shared/forges beside the folder that has go.mod.
func ForgeData(tb TB) string {
	tb.Helper()
	folder, err := findForgeData()
	Have(tb, "forges", err)
	return folder
}

func findForgeData() (string, error) {
	folder := os.Getenv(forgeData)
	if folder == "" {
		top, err := findTop()
		if err != nil {
			return "", err
		}
		folder = filepath.Join(filepath.Dir(top), "shared", "forges")
	}
	if _, err := os.Stat(filepath.Join(folder, "index.json")); err != nil {
		return "", err
	}
	return folder, nil
}

// findTop finds the folder of the module, where tests of any package run below.
func findTop() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(filepath.Join(folder, "go.mod"))
		if err == nil {
			return folder, nil
		}
		up := filepath.Dir(folder)
		if !errors.Is(err, fs.ErrNotExist) || up == folder {
			return "", err
		}
		folder = up
	}
}
