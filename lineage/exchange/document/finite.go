package document

import "bytes"

// Finite returns data with null in the place of NaN and Infinity, which programs
// write for numbers that they do not know and JSON does not have, and how many
// there were. Strings are unchanged.
func Finite(data []byte) (finite []byte, n int) {
	if !bytes.Contains(data, []byte("NaN")) && !bytes.Contains(data, []byte("Infinity")) {
		return data, 0
	}
	inString, from := false, 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == 'N' || c == 'I' || c == '-'):
			for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
				if bytes.HasPrefix(data[i:], []byte(word)) {
					finite = append(append(finite, data[from:i]...), "null"...)
					i += len(word) - 1
					from = i + 1
					n++
					break
				}
			}
		}
	}
	if n == 0 {
		return data, 0
	}
	return append(finite, data[from:]...), n
}
