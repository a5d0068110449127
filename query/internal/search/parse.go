package search

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"audittrail/internal/index/text"
)

// The limits of a text query.
const (
	MaxBytes = 16 << 10 // its length
	MaxDepth = 64       // fields, parentheses and minus signs within each other
	MaxTerms = 256      // words, phrases and patterns
	maxRegex = 1 << 10  // length of one pattern
	maxSteps = 512      // of a pattern
)

// spaces are the characters between operands, including those that editors and
// input methods insert.
const spaces = " \t\r\n\u00a0\u3000"

// An Error reports where and why a text query is invalid.
type Error struct {
	At      int // byte, from 0
	Problem string
}

func (e *Error) Error() string { return fmt.Sprintf("at byte %d: %s", e.At, e.Problem) }

// Parse parses a text query.
func Parse(s string) (*Expr, error) {
	if len(s) > MaxBytes {
		return nil, &Error{MaxBytes, fmt.Sprintf("%d bytes; use at most %d", len(s), MaxBytes)}
	}
	if !utf8.ValidString(s) {
		at := 0
		for r, size := utf8.DecodeRuneInString(s); r != utf8.RuneError || size != 1; r, size = utf8.DecodeRuneInString(s[at:]) {
			at += size
		}
		return nil, &Error{at, "the text is not UTF-8"}
	}
	p := &parser{text: s}
	p.space()
	if p.at == len(s) {
		return nil, &Error{0, "the text is empty"}
	}
	n, err := p.or(text.Any)
	if err != nil {
		return nil, err
	}
	if p.at < len(s) {
		return nil, p.problem(p.at, "a ) without its (")
	}
	return &Expr{root: n}, nil
}

// A parser parses a text query by recursive descent.
type parser struct {
	text  string
	at    int
	depth int
	terms int
}

func (p *parser) problem(at int, format string, args ...any) error {
	return &Error{at, fmt.Sprintf(format, args...)}
}

// space skips to the next character that is not a space.
func (p *parser) space() {
	p.at = len(p.text) - len(strings.TrimLeft(p.text[p.at:], spaces))
}

// keyword skips a given operator, and reports whether it was next.
func (p *parser) keyword(word string) bool {
	rest, ok := strings.CutPrefix(p.text[p.at:], word)
	if !ok || rest != "" && strings.IndexAny(rest, spaces+"()\"") != 0 {
		return false
	}
	p.at += len(word)
	p.space()
	return true
}

// end reports whether the parser is at the end of an operand.
func (p *parser) end() bool { return p.at == len(p.text) || p.text[p.at] == ')' }

// or parses operands that are joined by OR, within a field.
func (p *parser) or(field text.Field) (node, error) {
	var all either
	for {
		if p.keyword("OR") {
			return nil, p.problem(p.at, "an OR with nothing before it; quote it to search for the word")
		}
		n, err := p.and(field)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
		from := p.at
		if !p.keyword("OR") {
			break
		}
		if p.end() {
			return nil, p.problem(from, "an OR with nothing after it; quote it to search for the word")
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

// and parses operands that follow each other, or are joined by AND.
func (p *parser) and(field text.Field) (node, error) {
	var all both
	for {
		n, err := p.not(field)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
		from := p.at
		if p.keyword("AND") && (p.end() || p.peek("OR")) {
			return nil, p.problem(from, "an AND with nothing after it; quote it to search for the word")
		}
		if p.end() || p.peek("OR") {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

// peek reports whether a word is the next one.
func (p *parser) peek(word string) bool {
	at := p.at
	ok := p.keyword(word)
	p.at = at
	return ok
}

// not parses an operand, which may be negated.
func (p *parser) not(field text.Field) (node, error) {
	if p.depth++; p.depth > MaxDepth {
		return nil, p.problem(p.at, "more than %d levels of fields, parentheses and minus signs", MaxDepth)
	}
	defer func() { p.depth-- }()
	from := p.at
	minus := strings.HasPrefix(p.text[p.at:], "-")
	if minus {
		p.at++
	}
	if !minus && !p.keyword("NOT") {
		return p.operand(field)
	}
	if p.end() || strings.ContainsAny(p.text[p.at:p.at+1], " \t\r\n") {
		return nil, p.problem(from, "a minus sign or NOT with nothing after it")
	}
	n, err := p.not(field)
	if err != nil {
		return nil, err
	}
	return no{n}, nil
}

// operand parses parentheses, a phrase, a pattern or a word, each of which may
// have the name of a field before it.
func (p *parser) operand(field text.Field) (node, error) {
	if p.at == len(p.text) {
		return nil, p.problem(p.at, "a term is missing at the end")
	}
	switch p.text[p.at] {
	case '(':
		return p.group(field)
	case ')':
		return nil, p.problem(p.at, "a ) with nothing before it")
	case '"':
		from := p.at
		s, err := p.quoted()
		if err != nil {
			return nil, err
		}
		return p.phrase(field, from, s, p.star())
	case '/':
		return p.regex(field)
	}
	return p.word(field)
}

func (p *parser) group(field text.Field) (node, error) {
	from := p.at
	p.at++
	p.space()
	n, err := p.or(field)
	if err != nil {
		return nil, err
	}
	if p.at == len(p.text) {
		return nil, p.problem(from, "a ( without its )")
	}
	p.at++
	p.space()
	return n, nil
}

// quoted parses the characters between quotes. A character after a backslash is
// taken literally.
func (p *parser) quoted() (string, error) {
	from := p.at
	var b strings.Builder
	for i := p.at + 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			p.at = i + 1
			return b.String(), nil
		case c == '\\' && i+1 < len(p.text):
			i++
			b.WriteByte(p.text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", p.problem(from, "a quote that is not closed")
}

// star skips an asterisk, and reports whether there was one.
func (p *parser) star() bool {
	ok := strings.HasPrefix(p.text[p.at:], "*")
	if ok {
		p.at++
	}
	p.space()
	return ok
}

// phrase makes a condition of consecutive words.
func (p *parser) phrase(field text.Field, at int, s string, prefix bool) (node, error) {
	if err := p.count(at); err != nil {
		return nil, err
	}
	n := newPhrase(field, s, prefix)
	if len(n.words) == 0 {
		return nil, p.problem(at, "no word in this term; substring:\"…\" finds other characters")
	}
	return n, nil
}

func (p *parser) count(at int) error {
	if p.terms++; p.terms > MaxTerms {
		return p.problem(at, "more than %d words, phrases and patterns", MaxTerms)
	}
	return nil
}

// regex parses /pattern/, with an i after it if case does not matter.
func (p *parser) regex(field text.Field) (node, error) {
	from := p.at
	if err := p.count(from); err != nil {
		return nil, err
	}
	end := p.at + 1
	for end < len(p.text) && p.text[end] != '/' {
		if p.text[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(p.text) {
		return nil, p.problem(from, "a / without a closing /; quote it to search for the character")
	}
	source := strings.ReplaceAll(p.text[p.at+1:end], `\/`, "/")
	p.at = end + 1
	flags := ""
	if strings.HasPrefix(p.text[p.at:], "i") {
		p.at++
		flags = "(?i)"
	}
	switch {
	case !p.end() && !strings.ContainsAny(p.text[p.at:p.at+1], " \t\r\n"):
		return nil, p.problem(p.at, "only an i can follow a pattern")
	case len(source) > maxRegex:
		return nil, p.problem(from, "a pattern of %d bytes; use at most %d", len(source), maxRegex)
	}
	re, err := regexp.Compile(flags + source)
	if err != nil {
		return nil, p.problem(from, "%v", err)
	}
	steps, err := stepsOf(flags + source)
	if err != nil {
		return nil, p.problem(from, "%v", err)
	}
	if steps > maxSteps {
		return nil, p.problem(from, "a pattern that takes %d steps for each character, more than %d: repeat less within it", steps, maxSteps)
	}
	p.space()
	return &pattern{field: field, re: re}, nil
}

// stepsOf returns how many instructions a pattern compiles to: the most steps
// that a match takes for each character.
func stepsOf(source string) (int, error) {
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return 0, err
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0, err
	}
	return len(prog.Inst), nil
}

// aliases are other names of fields, of which the first are the event's own.
var aliases = map[string]text.Field{
	"system_instructions": text.System, "input_messages": text.Input, "output_messages": text.Output,
	"tool_arguments": text.Arguments, "tool_result": text.Result,
	"args": text.Arguments, "messages": text.Input, "meta": text.Metadata,
	"any": text.Any, "text": text.Any,
}

// word parses a word, or a field and what follows it.
func (p *parser) word(field text.Field) (node, error) {
	from := p.at
	n := strings.IndexAny(p.text[from:], spaces+"()\"")
	if n < 0 {
		n = len(p.text) - from
	}
	s := p.text[from : from+n]
	if name, _, ok := strings.Cut(s, ":"); ok {
		p.at += len(name) + 1
		return p.inField(field, from, name)
	}
	if s == "AND" || s == "OR" || s == "NOT" {
		return nil, p.problem(from, "%s where a word or phrase is expected; quote it to search for the word", s)
	}
	p.at += n
	if at := strings.IndexByte(strings.TrimSuffix(s, "*"), '*'); at >= 0 {
		return nil, p.problem(from+at, "a * is allowed only at the end of a word; use a /pattern/ instead")
	}
	if s == "*" {
		return nil, p.problem(from, "a * with nothing before it would match everything")
	}
	s, prefix := strings.CutSuffix(s, "*")
	p.space()
	return p.phrase(field, from, s, prefix)
}

// inField parses what follows the name of a field.
func (p *parser) inField(outer text.Field, from int, name string) (node, error) {
	if name == "substring" {
		return p.substring(outer)
	}
	field, ok := text.ParseField(name)
	if !ok {
		field, ok = aliases[name]
	}
	if !ok {
		var names []string
		for _, f := range text.Fields() {
			names = append(names, f.String())
		}
		return nil, p.problem(from, "unknown field of text: use %s, or quotes to search for the characters", strings.Join(names, ", "))
	}
	if outer != text.Any && field != outer {
		return nil, p.problem(from, "%s within %s: no text is in two fields", name, outer)
	}
	if p.end() || strings.ContainsAny(p.text[p.at:p.at+1], " \t\r\n") {
		return nil, p.problem(p.at, "%s: with nothing after it", name)
	}
	return p.not(field)
}

// substring parses the characters to be found anywhere in a text.
func (p *parser) substring(field text.Field) (node, error) {
	from := p.at
	if err := p.count(from); err != nil {
		return nil, err
	}
	var s string
	var err error
	if strings.HasPrefix(p.text[p.at:], `"`) {
		s, err = p.quoted()
	} else {
		n := strings.IndexAny(p.text[p.at:], " \t\r\n()")
		if n < 0 {
			n = len(p.text) - p.at
		}
		s = p.text[p.at : p.at+n]
		p.at += n
	}
	if err != nil {
		return nil, err
	}
	folded := text.Fold(s)
	if folded == "" {
		return nil, p.problem(from, "substring: with nothing to find")
	}
	p.space()
	return &substring{field: field, folded: folded}, nil
}
