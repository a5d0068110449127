// Package bench measures AuditTrail beside its peers and beside the bare
// limits of the machine, in one run: figures drift from run to run and from
// machine to machine, and only their ratios say something.
//
// It is a module of its own, so that no peer enters the project's own
// requirements. The figures of docs/performance.md come from
//
//	cd bench
//	AUDITTRAIL_BENCH_RECORDS=1000000 go test -run '^$' -bench . -benchtime 10s -timeout 60m
//
// or, of those of queries, which make a log and a database of so many events
// first,
//
//	AUDITTRAIL_BENCH_RECORDS=1000000 go test -run '^$' -bench Query -benchtime 1s -timeout 60m
//
// Logs are made in the folder for temporary files; set TMPDIR to choose
// another disk, and mind that one in memory makes every fsync free.
package bench
