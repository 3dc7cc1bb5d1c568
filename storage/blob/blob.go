// Package blob keeps what builds leave for others: artifacts and caches. They are
// files in a folder, or objects in a bucket that speaks the protocol of S3.
//
// A Store is that of one repository: all its keys lie below the repository's own
// prefix, so that nothing said to it reaches what is another's. Content lies under
// its SHA-256 and is checked against it, when it is written and when it is read;
// small records say which content is what. A record is written after the content
// that it names, and content that no record names goes once nobody can be about to
// name it.
//
// docs/artifacts.md has the layout.
package blob

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	cloud "gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob" // so that s3:// is an address
	"gocloud.dev/gcerrors"
)

// ErrNone says that nothing is kept under a name.
var ErrNone = errors.New("nothing is kept")

// ErrDamaged says that content differs from what was kept.
var ErrDamaged = errors.New("the content is damaged")

// A Store is safe for concurrent use, also by several processes. Its owner closes
// it.
type Store struct {
	bucket *cloud.Bucket
	now    func() time.Time
}

// Open opens what is kept for a repository at an address: the absolute path of a
// folder that is there, or a URL such as s3://BUCKET?region=REGION. repository is
// the repository's own for ever: the id of its store. now is compared with times
// that the folder or the service gave.
func Open(ctx context.Context, address, repository string, now func() time.Time) (*Store, error) {
	if repository == "" || strings.Trim(repository, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return nil, fmt.Errorf("open blobs: %q is no repository", repository)
	}
	bucket, err := openBucket(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("open blobs at %s: %w", address, err)
	}
	return &Store{bucket: cloud.PrefixedBucket(bucket, repository+"/"), now: now}, nil
}

func openBucket(ctx context.Context, address string) (*cloud.Bucket, error) {
	if path.IsAbs(address) {
		return fileblob.OpenBucket(address, &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	}
	scheme, _, _ := strings.Cut(address, "://")
	if scheme != "s3" {
		return nil, errors.New("neither the path of a folder nor s3://BUCKET")
	}
	return cloud.OpenBucket(ctx, address)
}

// Close ends the use of the store.
func (s *Store) Close() error { return s.bucket.Close() }

func none(err error) bool { return gcerrors.Code(err) == gcerrors.NotFound }

// A Ref names content.
type Ref struct {
	SHA256 string // hex
	Size   int64  // bytes
}

// check accepts what may be part of a key.
func (r Ref) check() error {
	if len(r.SHA256) != 64 || strings.Trim(r.SHA256, "0123456789abcdef") != "" || r.Size < 0 {
		return fmt.Errorf("%.80q with %d bytes names no content", r.SHA256, r.Size)
	}
	return nil
}

const blobs = "blobs/"

func (r Ref) key() string { return blobs + r.SHA256[:2] + "/" + r.SHA256 }
