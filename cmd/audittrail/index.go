package main

import (
	"errors"
	"path/filepath"

	"audittrail"
	"audittrail/internal/index"
	"audittrail/query"
)

// indexDir is the folder of the index.
func (e *env) indexDir() string { return filepath.Join(e.logDir(), "index") }

// openIndexed opens the log for writing with its index beside it. A log whose
// index cannot be kept is written all the same: queries read it then.
func (e *env) openIndexed(o audittrail.Options) (*audittrail.Log, error) {
	x := index.New(e.indexDir(), index.Options{Write: true, Logger: o.Logger})
	log, err := audittrail.Open(e.logDir(), x.Options(o))
	if err != nil {
		return nil, err
	}
	if err := x.Attach(log); err != nil {
		e.note("the index is not kept this time: %s", explain(err))
	}
	e.follow(log, x)
	return log, nil
}

// engine answers queries about a log that was opened.
func (e *env) engine(log *audittrail.Log) *query.Engine {
	x, ok := e.indexes[log]
	if !ok {
		x = index.New(e.indexDir(), index.Options{Logger: e.logger()})
		if err := x.Attach(log); err != nil {
			e.note("queries read the log: %s", explain(err))
			return query.New(log)
		}
		e.follow(log, x)
	}
	return query.Over(log, x)
}

// follow has an index closed with its log.
func (e *env) follow(log *audittrail.Log, x *index.Index) {
	if e.indexes == nil {
		e.indexes = make(map[*audittrail.Log]*index.Index)
	}
	e.indexes[log] = x
}

// close closes a log, and its index before it.
func (e *env) close(log *audittrail.Log) error {
	var err error
	if x, ok := e.indexes[log]; ok {
		delete(e.indexes, log)
		err = x.Close()
	}
	return errors.Join(err, log.Close())
}
