// Package repotest tests the repository: what imports what, what importers can
// name, domain strings, and that the documentation does what it says. It has no
// code of its own.
package repotest
