package storage

import "github.com/velocity-ci/velocity/architect/build"

// EncodeBuild prints a build as it is stored in build.json, which is also how
// the API sends it.
func EncodeBuild(b *build.Build) ([]byte, error) { return encodeBuild(b) }

// EncodeMoves prints moves as they are stored in events.jsonl.
func EncodeMoves(moves []build.Move) ([]byte, error) { return encodeMoves(moves) }

// DecodeBuild reads what EncodeBuild printed. A *VersionError means that a newer
// program printed it.
func DecodeBuild(data []byte) (*build.Build, error) { return decodeBuild(data) }
