package text_test

import (
	"slices"
	"testing"

	"audittrail/internal/index/text"
)

// TestPairIsNoWord has a square that stands for two characters: its term is no
// pair, so that who searches for the two in a row is not led to it.
func TestPairIsNoWord(t *testing.T) {
	square, exact := text.Terms("㍻")
	if !exact || !slices.Equal(square, []string{"平成"}) {
		t.Fatalf("Terms(㍻) = %q, %v, want its one term", square, exact)
	}
	if two, _ := text.Terms("平成"); slices.Equal(two, square) {
		t.Errorf("Terms(平成) = %q, as of the square", two)
	}
}

// TestNoCharacter has bytes that are no UTF-8 between words.
func TestNoCharacter(t *testing.T) {
	if got, want := terms("x\xffy \xff\xfe \uFFFD"), []string{"x", "y"}; !slices.Equal(got, want) {
		t.Errorf("terms = %q, want %q", got, want)
	}
}
