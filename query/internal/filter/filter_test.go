package filter_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/query/internal/filter"
)

var fields = []filter.Field{
	{Name: "type", Type: filter.Text},
	{Name: "model_id", Type: filter.Text},
	{Name: "size", Type: filter.Whole},
	{Name: "input_tokens", Type: filter.Whole},
	{Name: "latency_ms", Type: filter.Real},
	{Name: "time", Type: filter.Instant},
	{Name: "labels", Type: filter.Labels},
}

func compile(t *testing.T, text string) *filter.Node {
	t.Helper()
	n, err := filter.Compile(text, fields)
	if err != nil {
		t.Fatalf("Compile(%s): %v", text, err)
	}
	return n
}

func values(name string) any {
	return map[string]any{
		"type": "prompt", "model_id": "", "size": int64(100), "latency_ms": 150.5,
		"time":   time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC),
		"labels": map[string]string{"team": "x"},
	}[name]
}

func TestHolds(t *testing.T) {
	for text, want := range map[string]string{
		`type == "prompt"`:                                          "true",
		`type != "prompt"`:                                          "false",
		`type in ["a", "prompt"]`:                                   "true",
		`type.startsWith("pro")`:                                    "true",
		`model_id == ""`:                                            "true",
		`latency_ms > 150`:                                          "true",
		`latency_ms == 150.5`:                                       "true",
		`150.5 >= latency_ms`:                                       "true",
		`151 <= latency_ms`:                                         "false",
		`size >= 99.5`:                                              "true",
		`input_tokens > 0`:                                          "unknown",
		`!(input_tokens > 0)`:                                       "unknown",
		`input_tokens != 5`:                                         "unknown",
		`input_tokens > 0 || type == "prompt"`:                      "true",
		`type == "prompt" || input_tokens > 0`:                      "true",
		`input_tokens > 0 && type == "x"`:                           "false",
		`input_tokens > 0 && type == "prompt"`:                      "unknown",
		`present(input_tokens)`:                                     "false",
		`present(latency_ms) && !present(model_id)`:                 "true",
		`labels["team"] == "x"`:                                     "true",
		`labels["other"] == "x"`:                                    "unknown",
		`"other" in labels`:                                         "false",
		`has(labels.team) && labels.team == "x"`:                    "true",
		`labels.exists(k, labels[k] == "x")`:                        "true",
		`time > timestamp("2026-11-02T11:00:00Z")`:                  "true",
		`time.getHours() == 12 && time.getDayOfWeek() == 1`:         "true",
		`time - timestamp("2026-11-02T11:00:00Z") < duration("2h")`: "true",
		`size * 2 == 200 ? type == "prompt" : false`:                "true",
		`latency_ms / 0.0 > 1e300`:                                  "true",
		`size / 0 == 1`:                                             "unknown",
		`type.matches("^p.*t$")`:                                    "true",
		`true`:                                                      "true",
	} {
		holds, known := compile(t, text).Holds(values)
		got := "unknown"
		if known {
			got = map[bool]string{true: "true", false: "false"}[holds]
		}
		if got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

func TestBadExpressions(t *testing.T) {
	names := "type, model_id, size, input_tokens, latency_ms, time, labels"
	deep := `labels.all(a, labels.all(b, labels.all(c, labels.all(d, a + b == c + d))))`
	for text, want := range map[string]string{
		`prompt == "x"`:           `at line 1, column 1: unknown cleartext field "prompt"; the fields are: ` + names,
		`size > 1 && present(x)`:  `at line 1, column 20: unknown cleartext field "x"; the fields are: ` + names,
		`present(1)`:              `at line 1, column 9: present() takes the name of a field`,
		`size`:                    `the expression gives int, not true or false; compare it with a value`,
		`size > "1"`:              `at line 1, column 6: found no matching overload for '_>_' applied to '(int, string)'`,
		`latency_ms == 150`:       `at line 1, column 12: found no matching overload for '_==_' applied to '(double, int)'; write the number as 1.0`,
		deep:                      `the expression could take too long; nest fewer steps`,
		strings.Repeat("x", 5000): `5000 bytes; use at most 4096`,
	} {
		_, err := filter.Compile(text, fields)
		var bad *filter.Error
		if !errors.As(err, &bad) || err.Error() != want {
			t.Errorf("Compile(%.50s) = %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"", "size >", "type == 'x' &&& true", "(", strings.Repeat("(", 300)} {
		_, err := filter.Compile(text, fields)
		var bad *filter.Error
		if !errors.As(err, &bad) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Compile(%.50q) = %v, want one line", text, err)
		}
	}
}

// Expressions are taken apart where that changes nothing.
func TestParts(t *testing.T) {
	n := compile(t, `!(latency_ms > 100) || type == "a" && 5 <= size`)
	if n.Op != filter.Any || n.Nodes[0].Op != filter.Not || n.Nodes[1].Op != filter.All {
		t.Fatalf("taken apart as %+v", n)
	}
	want := &filter.Compare{Field: "latency_ms", Number: 100, Larger: true}
	if diff := cmp.Diff(want, n.Nodes[0].Nodes[0].Leaf.Compare); diff != "" {
		t.Errorf("first comparison (-want +got):\n%s", diff)
	}
	want = &filter.Compare{Field: "size", Number: 5, Equal: true, Larger: true}
	if diff := cmp.Diff(want, n.Nodes[1].Nodes[1].Leaf.Compare); diff != "" {
		t.Errorf("second comparison (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"type"}, n.Nodes[1].Nodes[0].Leaf.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// A comparison says what CEL says.
func TestCompareIsCEL(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, field := range []string{"size", "latency_ms"} {
		for _, op := range []string{"<", "<=", "==", "!=", ">=", ">"} {
			for _, number := range []string{"0", "7", "7.5", "-3", "9007199254740991", "9007199254740993", "1e300", "7u"} {
				if double := strings.ContainsAny(number, ".e"); len(op) == 2 && op[0] != '<' && op[0] != '>' && double != (field == "latency_ms") {
					continue // CEL asks for the same type
				}
				if number == "7u" && len(op) == 2 && op[0] != '<' && op[0] != '>' {
					continue
				}
				for _, text := range []string{field + op + number, number + op + field} {
					leaf := compile(t, text).Leaf
					if leaf.Compare == nil {
						if number != "9007199254740993" && number != "-3" {
							t.Errorf("%s is not seen to be a comparison", text)
						}
						continue
					}
					for range 20 {
						n := rng.Int64N(1 << (1 + rng.IntN(52)))
						v := any(n)
						f := float64(n)
						if field == "latency_ms" {
							f /= 1000
							v = f
						}
						holds, known := leaf.Holds(func(string) any { return v })
						if !known || holds != leaf.Compare.Holds(f) {
							t.Errorf("%s with %v: CEL says %v, %v, the comparison %v", text, v, holds, known, !holds)
						}
					}
				}
			}
		}
	}
}
