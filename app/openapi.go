package app

import (
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/storage"
)

// describe is the description of the API. Making it takes longer than most answers,
// and few ask for it.
func describe() ([]byte, error) {
	schemas, err := storage.Schemas()
	if err != nil {
		return nil, err
	}
	return web.Describe(schemas["build.json"])
}
