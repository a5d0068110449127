package repotest_test

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestDomainStrings compares the domain strings in the code with their table:
// each is in both, and is defined once.
func TestDomainStrings(t *testing.T) {
	pattern := regexp.MustCompile("audittrail/v1 [a-z ]+[a-z]")
	table, err := os.ReadFile("docs/format/domains.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := pattern.FindAllString(string(table), -1)
	found := make(map[string]int)
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		code, err := os.ReadFile(s.name)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range pattern.FindAllString(string(code), -1) {
			found[d]++
		}
	}
	for d, n := range found {
		if n != 1 {
			t.Errorf("%q stands in the code %d times: two kinds of hash share it", d, n)
		}
		if !slices.Contains(listed, d) {
			t.Errorf("%q is not in docs/format/domains.md", d)
		}
	}
	for _, d := range listed {
		if found[d] == 0 {
			t.Errorf("%q is in docs/format/domains.md, and nowhere in the code", d)
		}
	}
	if len(found) < 10 {
		t.Errorf("found only %d domain strings", len(found))
	}
}
