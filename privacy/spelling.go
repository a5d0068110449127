package privacy

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"audittrail/record"
)

// CountSimilar returns, for each of some user ids, how many other users are
// known whose ids differ from it only in case, blanks or accents, or in their
// encoding. It does not return their ids, which a caller who misspelled one
// must not learn.
//
// It reads the ids of all users in the keyring.
func (d *Manager) CountSimilar(ctx context.Context, users []string) ([]int, error) {
	asked := make(map[string]string, len(users)) // each id with its folded form
	near := make(map[string]int, len(users))     // by the folded id
	exact := make(map[string]bool)               // those of asked that are known
	for _, u := range users {
		if _, ok := asked[u]; !ok {
			f := fold(u)
			asked[u], near[f] = f, 0
		}
	}
	begin := func() {
		clear(exact)
		for f := range near {
			near[f] = 0
		}
	}
	err := d.log.EachUser(ctx, begin, func(user string, _ record.Subject) error {
		f := fold(user)
		if n, ok := near[f]; ok {
			near[f] = n + 1
			if _, ok := asked[user]; ok {
				exact[user] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count users with a similar id: %w", err)
	}
	counts := make([]int, len(users))
	for i, u := range users {
		counts[i] = near[asked[u]]
		if exact[u] {
			counts[i]--
		}
	}
	return counts, nil
}

// fold returns a user id without the differences that arise when people or
// programs copy ids: case, blanks, accents, and invisible characters.
func fold(id string) string {
	if ascii, ok := foldASCII(id); ok {
		return ascii
	}
	// Case folding may compose and decompose: compatibility decomposition comes
	// before it and after (Unicode, D146).
	text := norm.NFKD.String(cases.Fold().String(norm.NFKD.String(id)))
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Mn, unicode.Cf, unicode.Cc) {
			return -1
		}
		return r
	}, text)
}

// foldASCII is fold for an id of ASCII alone, as most are.
func foldASCII(id string) (string, bool) {
	same := true
	for i := range len(id) {
		switch c := id[i]; {
		case c >= utf8.RuneSelf:
			return "", false
		case c <= ' ' || c == 0x7f || 'A' <= c && c <= 'Z':
			same = false
		}
	}
	if same {
		return id, true
	}
	b := make([]byte, 0, len(id))
	for i := range len(id) {
		switch c := id[i]; {
		case c <= ' ' || c == 0x7f:
		case 'A' <= c && c <= 'Z':
			b = append(b, c+'a'-'A')
		default:
			b = append(b, c)
		}
	}
	return string(b), true
}

// minName is the least number of characters of a name that Mentions looks for:
// shorter names are too often ordinary words.
const minName = 4

// Mentions reports whether a text for the record, such as the reason of an
// erasure, contains a user's id as whole words, or the part of an address
// before the @. Such a text would name the person after the erasure.
func Mentions(text, user string) bool {
	return newNames(text).has(user)
}

// FirstMentioned returns the index of the first of some users whom a text names, as
// Mentions tells it, or -1.
func FirstMentioned(text string, users []string) int {
	n := newNames(text)
	for i, u := range users {
		if n.has(u) {
			return i
		}
	}
	return -1
}

// names is a text in which ids are searched, folded except for its blanks.
type names struct{ text string }

func newNames(text string) names { return names{foldWords(text)} }

// foldWords folds a text and separates its words by one blank.
func foldWords(text string) string {
	words := strings.FieldsFunc(text, unicode.IsSpace)
	for i, w := range words {
		words[i] = fold(w)
	}
	return strings.Join(words, " ")
}

func (n names) has(user string) bool {
	id := foldWords(user)
	local, _, address := strings.Cut(id, "@")
	return n.word(id) || address && n.word(local)
}

// word reports whether the text contains a folded id with neither a letter nor
// a digit next to it.
func (n names) word(id string) bool {
	if utf8.RuneCountInString(id) < minName {
		return false
	}
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for from := 0; ; {
		at := strings.Index(n.text[from:], id)
		if at < 0 {
			return false
		}
		at += from
		before, _ := utf8.DecodeLastRuneInString(n.text[:at])
		after, _ := utf8.DecodeRuneInString(n.text[at+len(id):])
		if !inWord(before) && !inWord(after) {
			return true
		}
		from = at + 1
	}
}
