package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"path"
)

//go:embed assets
var files embed.FS

// An Asset is a file that pages load.
type Asset struct {
	Kind    string // of its content, as in Content-Type
	Version string // changes with it
	Content []byte // not to be changed
}

// assets are all by name.
var assets = func() map[string]Asset {
	entries, err := files.ReadDir("assets")
	if err != nil {
		panic(err) // they are part of the program
	}
	all := map[string]Asset{}
	for _, e := range entries {
		content, err := files.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		all[e.Name()] = Asset{Kind: kinds[path.Ext(e.Name())], Version: hex.EncodeToString(sum[:6]), Content: content}
	}
	return all
}()

// kinds are not left to the machine's own table, which may say otherwise.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// AssetsPath is where assets are, by their names; the parameter AssetVersion is the
// version that a page was drawn for.
const (
	AssetsPath   = "/assets/"
	AssetVersion = "v"
)

// FindAsset is the asset of a name.
func FindAsset(name string) (a Asset, ok bool) {
	a, ok = assets[name]
	return a, ok
}

// assetPath is the address of one, which changes with its content: browsers need
// not ask for it again.
func assetPath(name string) string {
	return AssetsPath + name + "?" + AssetVersion + "=" + assets[name].Version
}
