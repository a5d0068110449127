package event

// ValidClass reports whether a retention class can have this name: 1 to 32
// lower-case letters, digits, hyphens and underscores, the first of which is a
// letter or digit.
func ValidClass(name string) bool { return isName(name, 32, "_-") }
