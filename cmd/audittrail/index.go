package main

import (
	"audittrail"
)

// finishIndex indexes new records before the log is closed. The user can
// interrupt it: the records are durable already.
func (e *env) finishIndex(log *audittrail.Log) error {
	progress, finish := e.ticks("indexing", false)
	defer finish()
	err := log.FinishIndex(e.ctx, progress)
	if err != nil && e.ctx.Err() != nil {
		e.note("all events are recorded; not all of them are in the index yet: the next command that writes continues indexing")
		return nil
	}
	return err
}

// closeRecorded closes a log after everything was recorded. A failure, such as
// on a full disk, is only a warning, since the next writer does the rest: with
// another status than success, a script would record everything again.
func (e *env) closeRecorded(log *audittrail.Log) {
	if err := e.close(log); err != nil {
		e.note("warning: the change is recorded and durable, but closing the log failed: %s; the next command that writes finishes the work", explain(err))
	}
}

// receipt ends a command that has recorded a change. err is the error of
// printing the result, and only a warning: with another status than success, a
// script would repeat the change.
func (e *env) receipt(what string, err error) error {
	if err != nil {
		e.note("warning: the change is recorded and durable, %s, but this result was not written: %s", what, explain(err))
	}
	return nil
}

// close closes a log.
func (e *env) close(log *audittrail.Log) error {
	delete(e.recording, log)
	return log.Close()
}
