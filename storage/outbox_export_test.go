package storage

// ReprintOutbox reads an outbox record and prints it again; ok is false if it cannot
// be read, or nothing is owed by it.
func ReprintOutbox(data []byte) (again []byte, ok bool) {
	o, err := decodeOutbox(data)
	if err != nil {
		return nil, false
	}
	again, err = encodeOutbox(o)
	return again, err == nil && again != nil
}
