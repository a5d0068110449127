// Package access decides who may do what with a log.
//
// A grant gives a user a role, and so permissions, in the hands of a token: a
// random secret that is shown once and of which the log keeps only a hash. A
// grant can expire, can be limited to some records by a [Scope], and can be
// revoked, which takes effect at once.
//
//	c, err := access.Open(ctx, log, access.Options{})
//	…
//	token, grant, err := c.Grant(ctx, access.GrantRequest{User: "alice", Role: access.Auditor})
//	…
//	if d := c.Check(token, access.ReadContent, nil); !d.Allowed {
//		return d.Err()
//	}
//
// Grants, revocations and denials are records of the log itself, so that the log
// proves its own administration; the state in memory is derived from them. The
// name of a user is encrypted under that user's own key: an erased user has no
// grants any more.
//
// Permissions bind the callers of this package: the service, and programs that
// use the library and ask it. They do not bind a person or process that has the
// log's files and master key: see docs/access.md.
package access
