package aggregate_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"audittrail/query/internal/aggregate"
)

var names = []string{"count", "sum", "avg", "min", "max", "p50", "p95", "p99", "distinct"}

func newAggregate(t *testing.T, name string) aggregate.Aggregate {
	t.Helper()
	tl, err := aggregate.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

// plain computes an aggregate the long way.
func plain(name string, numbers []int64) float64 {
	slices.Sort(numbers)
	sum := 0.0
	for _, n := range numbers {
		sum += float64(n)
	}
	rank := func(p float64) float64 { return float64(numbers[int(math.Ceil(p*float64(len(numbers))))-1]) }
	switch name {
	case "count":
		return float64(len(numbers))
	case "sum":
		return sum
	case "avg":
		return sum / float64(len(numbers))
	case "min":
		return float64(numbers[0])
	case "max":
		return float64(numbers[len(numbers)-1])
	case "p50":
		return rank(.5)
	case "p95":
		return rank(.95)
	case "p99":
		return rank(.99)
	}
	return float64(len(slices.Compact(slices.Clone(numbers))))
}

func number(r aggregate.Result) float64 {
	if r.Whole {
		return float64(r.N)
	}
	return r.F
}

// The results are the same however the numbers were split among aggregates, and
// as far from the exact ones as is promised.
func TestAgainstPlainSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct {
		n       int
		numbers func() int64
	}{
		{1, func() int64 { return 7 }},
		{100, func() int64 { return rng.Int64N(50) }},
		{aggregate.Exact, func() int64 { return rng.Int64N(1 << 40) }},
		{50_000, func() int64 { return int64(math.Exp(rng.NormFloat64()*2 + 10)) }},
		{30_000, func() int64 { return rng.Int64N(1 << 53) }},
		{400_000, func() int64 { return rng.Int64N(1 << 18) }},
	} {
		numbers := make([]int64, test.n)
		for i := range numbers {
			numbers[i] = test.numbers()
		}
		for _, name := range names {
			whole := newAggregate(t, name)
			whole.Add(make([]int32, test.n), numbers)
			merged := newAggregate(t, name)
			for rest := numbers; len(rest) > 0; {
				n := 1 + rng.IntN(len(rest))
				part := newAggregate(t, name)
				groups := make([]int32, n)
				for i := range groups {
					groups[i] = 3
				}
				part.Add(groups, rest[:n])
				merged.Merge(1, part, 3)
				rest = rest[n:]
			}
			if a, b := whole.Result(0), merged.Result(1); a != b {
				t.Errorf("%s of %d: %v in one piece, %v in several", name, test.n, a, b)
			}
			got, want := number(whole.Result(0)), plain(name, slices.Clone(numbers))
			off := 1e-12
			switch {
			case name[0] == 'p' && test.n > aggregate.Exact:
				off = 1.0 / aggregate.Precision
			case name == "distinct" && want > aggregate.ExactDistinct:
				off = 3 * 0.0082
			}
			if math.Abs(got-want) > off*want {
				t.Errorf("%s of %d numbers = %v, want %v within %v of it", name, test.n, got, want, off)
			}
		}
	}
}

func TestGroupsAreApart(t *testing.T) {
	for _, name := range names {
		tl := newAggregate(t, name)
		tl.Add([]int32{2, 0, 2}, []int64{5, 9, 5})
		for group, numbers := range map[int32][]int64{0: {9}, 2: {5, 5}} {
			if got, want := number(tl.Result(group)), plain(name, numbers); got != want {
				t.Errorf("%s of group %d = %v, want %v", name, group, got, want)
			}
		}
		none := tl.Result(1)
		if counts := name == "count" || name == "distinct"; none.Known != counts || none.N != 0 {
			t.Errorf("%s of nothing = %+v", name, none)
		}
	}
}

func TestLargeSums(t *testing.T) {
	sum, avg := newAggregate(t, "sum"), newAggregate(t, "avg")
	for range 4 {
		for _, tl := range []aggregate.Aggregate{sum, avg} {
			tl.Add([]int32{0, 0}, []int64{math.MaxInt64, math.MaxInt64})
		}
	}
	if r := sum.Result(0); r.Whole || r.F != 8*float64(math.MaxInt64) {
		t.Errorf("sum = %+v, want %v", r, 8*float64(math.MaxInt64))
	}
	if r := avg.Result(0); r.F != float64(math.MaxInt64) {
		t.Errorf("avg = %+v, want %v", r, float64(math.MaxInt64))
	}
	negative := newAggregate(t, "sum")
	negative.Add([]int32{0, 0}, []int64{-5, 3})
	if r := negative.Result(0); !r.Whole || r.N != -2 {
		t.Errorf("sum = %+v, want -2", r)
	}
}

func TestUnknownAggregate(t *testing.T) {
	_, err := aggregate.New("median")
	if want := `"median" is none of count, sum, avg, min, max, p50, p95, p99, distinct`; err == nil || err.Error() != want {
		t.Errorf("New(median): %v, want %s", err, want)
	}
}
