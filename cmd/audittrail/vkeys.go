package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// vkeys returns the verifier keys in the values of --key: each is a key, or a
// file with keys, one per line, as keys show --vkey prints them. The output of
// keys show -o json is accepted, too.
func (e *env) vkeys(values []string) ([]string, error) {
	var keys []string
	for _, value := range values {
		value = strings.TrimSpace(value)
		if value == "" {
			return nil, errors.New("read --key: the value is empty; give a verifier key, or a file with one")
		}
		text, err := e.readInput(value, maxSmallFile)
		switch {
		case err == nil:
			found, err := keysIn(text)
			if err != nil {
				return nil, fmt.Errorf("read --key %s: %w", inputName(value), err)
			}
			keys = append(keys, found...)
		case isVKey(value):
			keys = append(keys, value)
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("read --key %q: the value is neither a verifier key nor a file; 'audittrail keys show --vkey' prints the key on the log's machine", value)
		default:
			return nil, fmt.Errorf("read --key: %w", err)
		}
	}
	return keys, nil
}

// keysIn returns the verifier keys in a file.
func keysIn(text []byte) ([]string, error) {
	var shown struct {
		VKey string `json:"vkey"`
	}
	if json.Unmarshal(text, &shown) == nil && isVKey(shown.VKey) {
		return []string{shown.VKey}, nil
	}
	var keys []string
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case isVKey(line):
			keys = append(keys, line)
		default: // never print the line: it may be a secret, by mistake
			return nil, fmt.Errorf("line %d is not a verifier key", n+1)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the file has no verifier key")
	}
	return keys, nil
}

// isVKey reports whether s has the form of a verifier key: a name, a hash in
// hexadecimal digits and a key. The key itself is checked when it is parsed. A line
// of a log, in which base64 may have a "+" anywhere, has no such hash.
func isVKey(s string) bool {
	parts := strings.SplitN(s, "+", 3)
	return len(parts) == 3 && parts[0] != "" && hash8.MatchString(parts[1]) && parts[2] != "" && !strings.ContainsAny(s, " \n\"{")
}

var hash8 = regexp.MustCompile(`^[0-9a-f]{8}$`)
