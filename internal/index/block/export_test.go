package block

// ReadFooter parses a footer, and writes it again.
func ReadFooter(b []byte) ([]byte, error) {
	f, err := parseFooter(b)
	if err != nil {
		return nil, err
	}
	return f.encode()
}

// ReadDirectory parses a directory, and writes it again.
func ReadDirectory(b []byte) ([]byte, error) {
	d, err := parseDirectory(b, 0)
	if err != nil {
		return nil, err
	}
	var lengths []uint32
	for i := range len(d.places) - 1 {
		lengths = append(lengths, uint32(d.places[i+1]-d.places[i]))
	}
	return appendDirectory(nil, lengths, d.marks), nil
}

// ReadStream reads the entries of a stream of one page.
func ReadStream(rows int, b []byte, use func(key string, rows []uint32)) error {
	r := &streamReader{rows: rows, all: 1, key: make([]byte, 0, maxKey), page: func(int) ([]byte, error) { return b, nil }}
	for r.more() {
		if err := r.next(); err != nil {
			return err
		}
		list, err := r.list(nil)
		if err != nil {
			return err
		}
		use(string(r.key), list)
	}
	return nil
}

// WriteStream writes the entries of a stream of one page.
func WriteStream(rows int, keys []string, lists [][]uint32) ([]byte, error) {
	var out []byte
	w := &streamWriter{rows: rows, put: func(page []byte) error { out = append(out, page...); return nil }}
	for i, k := range keys {
		if err := w.entry(k, lists[i]); err != nil {
			return nil, err
		}
	}
	return out, w.end()
}
