package search

import (
	"github.com/RoaringBitmap/roaring/v2"

	"audittrail/internal/index/text"
)

// A Lookup finds the rows that contain terms.
type Lookup interface {
	Term(field text.Field, term string) (*roaring.Bitmap, error)
	Prefix(field text.Field, prefix string) (*roaring.Bitmap, error)
}

// Rows are the rows that can match: those of Set or, if Outside is set, all
// others. Unless Exact is set, each has to be examined.
type Rows struct {
	Set     *roaring.Bitmap
	Outside bool
	Exact   bool
}

// Rows looks up in an index which rows can match. Every row that matches is
// among them.
func (x *Expr) Rows(in Lookup) (Rows, error) { return x.root.rows(in) }

// unknown returns all rows, each of which has to be examined.
func unknown() Rows { return Rows{Set: roaring.New(), Outside: true} }

func (a Rows) and(b Rows) Rows {
	exact := a.Exact && b.Exact
	switch {
	case a.Outside && b.Outside:
		return Rows{roaring.Or(a.Set, b.Set), true, exact}
	case a.Outside:
		return Rows{roaring.AndNot(b.Set, a.Set), false, exact}
	case b.Outside:
		return Rows{roaring.AndNot(a.Set, b.Set), false, exact}
	}
	return Rows{roaring.And(a.Set, b.Set), false, exact}
}

func (a Rows) or(b Rows) Rows {
	exact := a.Exact && b.Exact
	switch {
	case a.Outside && b.Outside:
		return Rows{roaring.And(a.Set, b.Set), true, exact}
	case a.Outside:
		return Rows{roaring.AndNot(a.Set, b.Set), true, exact}
	case b.Outside:
		return Rows{roaring.AndNot(b.Set, a.Set), true, exact}
	}
	return Rows{roaring.Or(a.Set, b.Set), false, exact}
}

func (n both) rows(in Lookup) (Rows, error)   { return join(n, in, Rows.and) }
func (n either) rows(in Lookup) (Rows, error) { return join(n, in, Rows.or) }

func join(all []node, in Lookup, with func(a, b Rows) Rows) (Rows, error) {
	var out Rows
	for i, m := range all {
		r, err := m.rows(in)
		if err != nil {
			return r, err
		}
		if i == 0 {
			out = r
		} else {
			out = with(out, r)
		}
	}
	return out, nil
}

func (n no) rows(in Lookup) (Rows, error) {
	r, err := n.node.rows(in)
	if err != nil || !r.Exact {
		return unknown(), err // a row that may match may also match the negation
	}
	r.Outside = !r.Outside
	return r, nil
}

func (n *phrase) rows(in Lookup) (Rows, error) {
	out := unknown()
	out.Exact = true
	for _, t := range n.terms {
		look := in.Term
		if t.Prefix {
			look = in.Prefix
		}
		set, err := look(n.field, t.Term)
		if err != nil {
			return out, err
		}
		out = out.and(Rows{set, false, true})
	}
	out.Exact = n.exact
	return out, nil
}

func (n *substring) rows(Lookup) (Rows, error) { return unknown(), nil }
func (n *pattern) rows(Lookup) (Rows, error)   { return unknown(), nil }
