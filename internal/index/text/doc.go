// Package text says what of an event can be searched: its fields of text, and
// the words in them. Index and queries share it, so that what one wrote the
// other finds.
//
// A word is what UAX #29 calls one, with two changes. A colon ends a word, as in
// CLDR's root locale. And characters of the scripts that put no spaces between
// words (Chinese, Japanese, Thai and others), and of Korean, whose particles
// stick to their nouns, are words of their own, joined where nothing stands
// between them.
//
// A word is taken apart at the marks inside of it: "John's", "www.example.com",
// "max_tokens_per_day" and "192.168.1.7" have parts. The v of a version is a part
// of its own, as are the T and the Z of a time: "v1.2.3", "2026-11-30T12:00:00Z".
// So a run of parts is found as the word is, with the marks between them the
// same.
//
// The term of a part is what is left when case and accents are folded: Unicode
// compatibility decomposition, without the marks of Latin, Greek, Cyrillic,
// Hebrew and Arabic, full case folding; typographic quotes are those of ASCII.
// The index has the term of each part; of each two parts of a word in a row, the
// first, a zero byte, the marks between them and the second; and of the last
// part of a word that marks end, such as "init" in "__init__", the part, a zero
// byte and these marks. A term has at most [MaxTerm] bytes.
//
// The rules are part of the index's format ([Version]): a change of them, or of
// the Unicode tables in a way that matters, makes old indexes useless.
package text

// Version numbers the rules by which text becomes terms.
const Version = 2

// MaxTerm is the length in bytes at which a term is cut off.
const MaxTerm = 64
