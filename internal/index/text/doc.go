// Package text defines which text of an event can be searched: its fields, and
// the words in them. The index and queries share it, so that queries find the
// words that the index has.
//
// A word is what UAX #29 calls one, with two changes. A colon ends a word, as
// in CLDR's root locale. And characters of the scripts that put no spaces
// between words (Chinese, Japanese, Thai and others), and of Korean, whose
// particles stick to their nouns, are words of their own, joined where nothing
// is between them.
//
// A word is taken apart at the marks inside of it: "John's", "www.example.com",
// "max_tokens_per_day" and "192.168.1.7" have parts. The v of a version is a
// part of its own, as are the T and the Z of a time: "v1.2.3",
// "2026-11-30T12:00:00Z". So a run of parts is found like the whole word, if
// the marks between them are the same.
//
// The term of a part is its text with case and accents folded: Unicode
// compatibility decomposition, without the marks of Latin, Greek, Cyrillic,
// Hebrew and Arabic, full case folding; typographic quotes are those of ASCII.
// The index has the term of each part; of each two parts of a word in a row,
// the first, a zero byte, the marks between them and the second; and of the
// last part of a word that marks end, such as "init" in "__init__", the part, a
// zero byte and these marks. A term has at most [MaxTerm] bytes.
//
// The rules are part of the index's format ([Version]): if they change, or the
// Unicode tables change in a way that matters, old indexes cannot be used.
package text

// Version numbers the rules by which text becomes terms.
const Version = 2

// MaxTerm is the length in bytes at which a term is cut off.
const MaxTerm = 64
