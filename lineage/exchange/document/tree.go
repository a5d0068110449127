package document

import (
	"maps"
	"reflect"
	"slices"
)

// Minus returns what an object has and another lacks or has otherwise. Objects
// are compared member by member, everything else as a whole.
func Minus(o, known Object) Object {
	out := Object{}
	for k, v := range o {
		other, there := known[k]
		if v == nil {
			continue // null says nothing
		}
		a, isObject := v.(Object)
		b, both := other.(Object)
		switch {
		case there && isObject && both:
			if rest := Minus(a, b); len(rest) > 0 {
				out[k] = rest
			}
		case !there || !reflect.DeepEqual(v, other):
			out[k] = v
		}
	}
	return out
}

// Overlay returns an object with another on top of it: objects are laid member
// by member, everything else as a whole.
func Overlay(base, top Object) Object {
	out := make(Object, len(base)+len(top))
	maps.Copy(out, base)
	for k, v := range top {
		a, isObject := out[k].(Object)
		b, both := v.(Object)
		if isObject && both {
			out[k] = Overlay(a, b)
		} else {
			out[k] = v
		}
	}
	return out
}

// Merge lays an object on one that is the caller's, or under it: it costs only
// what is new. Nothing of the other object is changed later.
func Merge(base, more Object, over bool) {
	for k, v := range more {
		a, isObject := base[k].(Object)
		b, both := v.(Object)
		_, there := base[k]
		switch {
		case isObject && both:
			Merge(a, b, over)
		case both && (!there || over):
			own := make(Object, len(b))
			Merge(own, b, over)
			base[k] = own
		case !there || over:
			base[k] = v
		}
	}
}

// Within says where an object lacks what another has, or has it otherwise.
func Within(place string, want, o Object) error {
	for _, k := range slices.Sorted(maps.Keys(want)) {
		v, there := o[k]
		if !there {
			return Errorf(Join(place, k), "missing, although the extension has it: remove the extension to read the document without it")
		}
		a, isObject := want[k].(Object)
		b, both := v.(Object)
		switch {
		case isObject && both:
			if err := Within(Join(place, k), a, b); err != nil {
				return err
			}
		case !reflect.DeepEqual(want[k], v):
			return Errorf(Join(place, k), "the value differs from the extension: remove the extension to read the document without it")
		}
	}
	return nil
}
