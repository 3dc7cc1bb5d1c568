package storage

import (
	"fmt"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// tipsFile is the desk's list of refs with the commit last dealt with.
const tipsFile = "tips.json"

type tipsRecord struct {
	Version int                    `json:"version"`
	Tips    map[string]plan.Commit `json:"tips"`
}

func encodeTips(tips map[string]plan.Commit) ([]byte, error) {
	if tips == nil {
		tips = map[string]plan.Commit{}
	}
	return encode(tipsFile, tipsRecord{Version: recordVersion, Tips: tips})
}

func decodeTips(data []byte) (map[string]plan.Commit, error) {
	var r tipsRecord
	if err := decode(tipsFile, data, &r); err != nil {
		return nil, err
	}
	for ref, c := range r.Tips {
		if _, err := plan.ParseCommit(string(c)); err != nil {
			return nil, fmt.Errorf("decode %s: %s: %w", tipsFile, ref, err)
		}
	}
	if r.Tips == nil {
		r.Tips = map[string]plan.Commit{}
	}
	return r.Tips, nil
}
