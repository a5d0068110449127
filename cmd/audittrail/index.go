package main

import (
	"audittrail"
)

// finishIndex indexes what was recorded before its log is closed. Whoever does
// not want to wait interrupts it: the records are there.
func (e *env) finishIndex(log *audittrail.Log) error {
	progress, finish := e.ticks("indexing", false)
	defer finish()
	err := log.FinishIndex(e.ctx, progress)
	if err != nil && e.ctx.Err() != nil {
		e.note("all is recorded; not all of it is in the index yet, which whoever writes the log next goes on with")
		return nil
	}
	return err
}

// closeRecorded closes a log in which all is recorded that was to be. What fails
// then, on a full disk, is work that the next writer does: with another status
// than success, a script would record it again.
func (e *env) closeRecorded(log *audittrail.Log) {
	if err := e.close(log); err != nil {
		e.note("warning: it is recorded and durable, but closing the log failed: %s; the next command that writes finishes that", explain(err))
	}
}

// receipt is what a command ends with that has recorded what it was to and could
// not print the result, with that error: with another status than success, a
// script would do it again.
func (e *env) receipt(what string, err error) error {
	if err != nil {
		e.note("warning: it is recorded and durable, %s, but this result was not written: %s", what, explain(err))
	}
	return nil
}

// close closes a log.
func (e *env) close(log *audittrail.Log) error {
	delete(e.recording, log)
	return log.Close()
}
