// Package filter compiles conditions on the cleartext fields of records,
// written in CEL (cel.dev), the Common Expression Language.
//
// A field that a record lacks has no value: a condition on it is neither true
// nor false, "||" and "&&" take the result of their other side where that
// decides, and an expression without a result matches no record. Texts are the
// exception: an absent text is empty. present(field) tells whether the record
// has a field.
//
// The types of an expression are checked when it is compiled, and an expression
// that could cost too much is refused, so that its evaluation needs no other
// limit.
package filter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
)

// The limits on an expression.
const (
	MaxBytes = 4 << 10
	MaxCost  = 200_000 // in CEL's measure: about one for each step, or for ten bytes of a text
)

// Limits on the values of fields, from which the cost is estimated.
const (
	textBytes = 128
	labels    = 64
)

// A Type is the type of a field's values.
type Type int

// The types of fields.
const (
	Text    Type = iota // string
	Whole               // int64
	Real                // float64
	Instant             // time.Time
	Labels              // map[string]string
)

var celTypes = map[Type]*cel.Type{
	Text: cel.StringType, Whole: cel.IntType, Real: cel.DoubleType, Instant: cel.TimestampType,
	Labels: cel.MapType(cel.StringType, cel.StringType),
}

// A Field is a field that expressions can name.
type Field struct {
	Name string
	Type Type
}

// presence is the prefix of the variable that replaces present(field) in a
// program.
const presence = "@present:"

// A Node is a part of an expression: a Leaf, or All, Any or Not of other nodes.
type Node struct {
	Op    Op
	Nodes []*Node
	Leaf  *Leaf
}

// An Op joins nodes.
type Op int

// The operators between nodes.
const (
	IsLeaf Op = iota
	All
	Any
	Not // of one node
)

// A Leaf is a condition that is evaluated as a whole.
type Leaf struct {
	Fields []string // that it needs
	// Compare, if not nil, is the whole condition.
	Compare *Compare

	program cel.Program
}

// A Compare is the condition that a field of numbers is smaller than, equal to
// or larger than a number, or a combination of two of these.
type Compare struct {
	Field                  string
	Number                 float64
	Smaller, Equal, Larger bool
}

// Values returns the value of a field, in the field's type, or nil if it is
// absent.
type Values func(field string) any

// Holds evaluates the leaf. known is false if the leaf needs an absent field.
func (l *Leaf) Holds(values Values) (holds, known bool) {
	out, _, err := l.program.Eval(activation{values})
	if err != nil {
		return false, false
	}
	b, ok := out.(types.Bool)
	return bool(b), ok
}

// Holds evaluates the expression for a record.
func (n *Node) Holds(values Values) (holds, known bool) {
	switch n.Op {
	case Not:
		holds, known = n.Nodes[0].Holds(values)
		return !holds, known
	case All, Any:
		decides := n.Op == Any
		known = true
		for _, m := range n.Nodes {
			h, k := m.Holds(values)
			if k && h == decides {
				return decides, true
			}
			known = known && k
		}
		return !decides, known
	}
	return n.Leaf.Holds(values)
}

// activation passes a record's values to CEL.
type activation struct{ values Values }

// ResolveName returns the value of a name.
func (a activation) ResolveName(name string) (any, bool) {
	if field, ok := strings.CutPrefix(name, presence); ok {
		v := a.values(field)
		return v != nil && v != "", true
	}
	v := a.values(name)
	return v, v != nil
}

// Parent returns nil: there is no outer scope.
func (a activation) Parent() interpreter.Activation { return nil }

// An Error reports why an expression is invalid.
type Error struct{ Problem string }

func (e *Error) Error() string { return e.Problem }

// Compile compiles an expression over some fields.
func Compile(text string, fields []Field) (*Node, error) {
	if len(text) > MaxBytes {
		return nil, &Error{fmt.Sprintf("%d bytes; use at most %d", len(text), MaxBytes)}
	}
	env, err := environment(fields)
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, &Error{explain(issues.Err(), fields)}
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) {
		return nil, &Error{fmt.Sprintf("the expression gives %s, not true or false; compare it with a value", t)}
	}
	cost, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, err
	}
	if cost.Max > MaxCost {
		return nil, &Error{"the expression could take too long; nest fewer steps"}
	}
	c := &compiler{env: env, whole: checked.NativeRep(), fields: fields}
	return c.node(c.whole.Expr())
}

func environment(fields []Field) (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.StdLib(), cel.CrossTypeNumericComparisons(true),
		cel.Macros(cel.GlobalMacro("present", 1, func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
			if args[0].Kind() != ast.IdentKind {
				return nil, f.NewError(args[0].ID(), "present() takes the name of a field")
			}
			return f.NewIdent(presence + args[0].AsIdent()), nil
		})),
	}
	for _, f := range fields {
		options = append(options, cel.Variable(f.Name, celTypes[f.Type]), cel.Variable(presence+f.Name, cel.BoolType))
	}
	return cel.NewCustomEnv(options...)
}

var undeclared = regexp.MustCompile(`undeclared reference to '([^']*)'`)

// explain makes one line of CEL's error, beginning with the place of the
// mistake.
func explain(err error, fields []Field) string {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) && len(many.Unwrap()) > 0 {
		err = many.Unwrap()[0]
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	text := strings.TrimPrefix(first, "ERROR: <input>:")
	line, rest, _ := strings.Cut(text, ":")
	column, rest, ok := strings.Cut(rest, ":")
	if !ok {
		return text
	}
	if m := undeclared.FindStringSubmatch(rest); m != nil {
		var names []string
		for _, f := range fields {
			names = append(names, f.Name)
		}
		rest = fmt.Sprintf(" unknown cleartext field %q; the fields are: %s", strings.TrimPrefix(m[1], presence), strings.Join(names, ", "))
	}
	switch {
	case strings.HasSuffix(rest, "'(double, int)'"):
		rest += "; write the number as 1.0"
	case strings.HasSuffix(rest, "'(int, double)'"):
		rest += "; write the number as 1"
	}
	return fmt.Sprintf("at line %s, column %s:%s", line, column, rest)
}

// sizes are the sizes of fields.
type sizes struct{}

// EstimateSize returns how large a value can be.
func (sizes) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	if n.Type().Kind() == types.MapKind {
		return &checker.SizeEstimate{Max: labels}
	}
	return &checker.SizeEstimate{Max: textBytes}
}

// EstimateCallCost leaves the estimate for calls to CEL.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// A compiler divides an expression into nodes.
type compiler struct {
	env    *cel.Env
	whole  *ast.AST
	fields []Field
}

func (c *compiler) node(e ast.Expr) (*Node, error) {
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		op := map[string]Op{operators.LogicalAnd: All, operators.LogicalOr: Any, operators.LogicalNot: Not}[call.FunctionName()]
		if op != IsLeaf {
			n := &Node{Op: op}
			for _, arg := range call.Args() {
				m, err := c.node(arg)
				if err != nil {
					return nil, err
				}
				n.Nodes = append(n.Nodes, m)
			}
			return n, nil
		}
	}
	part := ast.NewCheckedAST(ast.NewAST(e, c.whole.SourceInfo()), c.whole.TypeMap(), c.whole.ReferenceMap())
	program, err := c.env.PlanProgram(part, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, &Error{err.Error()}
	}
	leaf := &Leaf{program: program, Compare: c.compare(e), Fields: c.fieldsOf(e)}
	return &Node{Leaf: leaf}, nil
}

// fieldsOf returns the fields that an expression names.
func (c *compiler) fieldsOf(e ast.Expr) []string {
	var names []string
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.IdentKind {
			return
		}
		name := strings.TrimPrefix(e.AsIdent(), presence)
		if c.typeOf(name) >= 0 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}))
	return names
}

func (c *compiler) typeOf(name string) Type {
	for _, f := range c.fields {
		if f.Name == name {
			return f.Type
		}
	}
	return -1
}

// comparisons maps operators to their Compare.
var comparisons = map[string]Compare{
	operators.Less:          {Smaller: true},
	operators.LessEquals:    {Smaller: true, Equal: true},
	operators.Equals:        {Equal: true},
	operators.NotEquals:     {Smaller: true, Larger: true},
	operators.GreaterEquals: {Equal: true, Larger: true},
	operators.Greater:       {Larger: true},
}

// compare returns the Compare that an expression is equivalent to, or nil.
func (c *compiler) compare(e ast.Expr) *Compare {
	if e.Kind() != ast.CallKind {
		return nil
	}
	call := e.AsCall()
	cmp, ok := comparisons[call.FunctionName()]
	if !ok || len(call.Args()) != 2 {
		return nil
	}
	left, right := call.Args()[0], call.Args()[1]
	if left.Kind() == ast.LiteralKind {
		left, right = right, left
		cmp.Smaller, cmp.Larger = cmp.Larger, cmp.Smaller
	}
	if left.Kind() != ast.IdentKind || right.Kind() != ast.LiteralKind {
		return nil
	}
	cmp.Field = left.AsIdent()
	if t := c.typeOf(cmp.Field); t != Whole && t != Real {
		return nil
	}
	switch n := right.AsLiteral().(type) {
	case types.Int:
		cmp.Number = float64(n)
		ok = -exact <= n && n <= exact
	case types.Uint:
		cmp.Number = float64(n)
		ok = n <= exact
	case types.Double:
		cmp.Number = float64(n)
	default:
		ok = false
	}
	if !ok {
		return nil
	}
	return &cmp
}

// exact is the limit up to which a float64 represents every whole number. No
// field has a larger one.
const exact = 1 << 53

// Holds evaluates the condition for a number.
func (c *Compare) Holds(n float64) bool {
	switch {
	case n < c.Number:
		return c.Smaller
	case n > c.Number:
		return c.Larger
	}
	return c.Equal
}
