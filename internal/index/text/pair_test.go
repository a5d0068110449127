package text_test

import (
	"slices"
	"testing"
)

// TestPairIsNoWord has a square that stands for two characters: its term is not
// a pair, so that a search for the two in a row does not find it.
func TestPairIsNoWord(t *testing.T) {
	square, two := terms("㍻"), terms("平成")
	if !slices.Equal(square, []string{"平成"}) {
		t.Fatalf("terms of ㍻ = %q, want one", square)
	}
	if slices.Contains(two, square[0]) {
		t.Errorf("terms of 平成 = %q, with that of the square", two)
	}
}

// TestNoCharacter has bytes that are not UTF-8 between words.
func TestNoCharacter(t *testing.T) {
	if got, want := terms("x\xffy \xff\xfe \uFFFD"), []string{"x", "y"}; !slices.Equal(got, want) {
		t.Errorf("terms = %q, want %q", got, want)
	}
}
