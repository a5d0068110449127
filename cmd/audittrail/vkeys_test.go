package main

import "testing"

// TestIsVKey takes verifier keys for what they are, and no line of a log, whose
// base64 may have a "+" on both sides of eight characters.
func TestIsVKey(t *testing.T) {
	for s, want := range map[string]bool{
		"example.com/log+0f1e2d3c+AbCd+/x=":             true,
		`{"v":2,"body":"aGVsbG8+12345678+d29ybGQ=","x"`: false,
		"aGVsbG8+ABCDEFGH+d29ybGQ=":                     false,
		"+0f1e2d3c+AbCd":                                false,
		"example.com/log+0f1e2d3c+":                     false,
		"example.com/log+0f1e2d3+AbCd":                  false,
		"two words+0f1e2d3c+AbCd":                       false,
	} {
		if got := isVKey(s); got != want {
			t.Errorf("isVKey(%q) = %v, want %v", s, got, want)
		}
	}
}
