// Package text says what of an event can be searched: its fields of text, and
// the words in them. Index and queries share it, so that what one wrote the
// other finds.
//
// A word is what UAX #29 calls one, with three changes. A colon ends a word, as
// in CLDR's root locale. Characters of the scripts that put no spaces between
// words (Chinese, Japanese, Thai and others), and of Korean, whose particles
// stick to their nouns, are words of their own, which follow each other closely.
// And a word with a mark or an underscore inside, such as "John's",
// "example.com" or "user_id", can be found by its parts as well; a number
// cannot.
//
// The term of a word is what is left when case and accents are folded: Unicode
// compatibility decomposition, without the marks of Latin, Greek, Cyrillic,
// Hebrew and Arabic, full case folding. It has at most [MaxTerm] bytes.
//
// The rules are part of the index's format ([Version]): a change of them, or of
// the Unicode tables in a way that matters, makes old indexes useless.
package text

// Version numbers the rules by which text becomes terms.
const Version = 1

// MaxTerm is the length in bytes at which a term is cut off.
const MaxTerm = 64
