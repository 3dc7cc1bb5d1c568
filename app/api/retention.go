package api

// A Retention is what bounds on what is kept take away, or would.
type Retention struct {
	DryRun     bool        `json:"dryRun"`   // it would
	Archived   int64       `json:"archived"` // builds that came into the archive before
	Builds     int         `json:"builds"`   // whose record goes
	Logs       DroppedLogs `json:"logs"`
	Unreadable []string    `json:"unreadable,omitempty"` // what is kept since it cannot be read

	Blobs DroppedBlobs `json:"blobs"`
}

// DroppedLogs are logs that go.
type DroppedLogs struct {
	Builds int   `json:"builds"` // whose logs they are
	Files  int   `json:"files"`
	Bytes  int64 `json:"bytes"` // before compression
}

// DroppedBlobs are artifacts and caches that go.
type DroppedBlobs struct {
	Artifacts int   `json:"artifacts"` // tasks whose artifacts they are
	Caches    int   `json:"caches"`
	Bytes     int64 `json:"bytes"` // packed
}
