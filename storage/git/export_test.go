package git

// FailDisk lets fault decide about every operation of r on the disk; tests of
// whole lives, outside of this package, need it before r is used.
func (r *Repository) FailDisk(fault func(op, path string) error) { r.disk.fault = fault }
