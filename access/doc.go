// Package access decides who may do what with a log.
//
// A grant gives a user a role, and so permissions, in the hands of a token: a
// random secret that is shown once and of which the log keeps only a hash. A
// grant can end at a time, can be limited to some records by a [Scope], and can
// be revoked, which counts from then on.
//
//	c, err := access.Open(ctx, log, access.Options{})
//	…
//	token, grant, err := c.Grant(ctx, access.GrantRequest{User: "alice", Role: access.Auditor})
//	…
//	if d := c.Check(token, access.ReadContent, nil); !d.Allowed {
//		return d.Err()
//	}
//
// Grants, revocations and denials are records of the log itself, so that it
// proves its own administration; what is in memory comes from them and can be
// made again at any time. What a user is called is sealed under that user's own
// key: who is erased has no grants left.
//
// Permissions bind those who come through this package: the service, and the
// callers of the library that ask it. Whoever holds the log's files and its
// master key stands outside, and docs/access.md says so.
package access
