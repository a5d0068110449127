// Package bench measures AuditTrail together with its peers and the limits of
// the machine, in one run: figures vary from run to run and from machine to
// machine, and only their ratios are meaningful.
//
// It is a module of its own, so that no peer enters the project's own
// requirements. The figures of docs/performance.md come from
//
//	cd bench
//	AUDITTRAIL_BENCH_RECORDS=1000000 go test -run '^$' -bench . -benchtime 10s -timeout 60m
//
// and those of queries, which create a log and a database of that many events
// first, from
//
//	AUDITTRAIL_BENCH_RECORDS=1000000 go test -run '^$' -bench Query -benchtime 1s -timeout 60m
//
// Logs are created in the folder for temporary files; set TMPDIR to choose
// another disk, but not one in memory, where an fsync costs nothing.
package bench
