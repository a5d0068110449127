package main

import (
	"path/filepath"

	"audittrail"
	"audittrail/query"
)

// indexDir is the folder of the index.
func (e *env) indexDir() string { return filepath.Join(e.logDir(), "index") }

// openStore opens the log with its index.
func (e *env) openStore(o audittrail.Options) (*audittrail.Log, error) {
	s, err := query.Open(e.logDir(), o)
	if err != nil {
		return nil, err
	}
	if e.stores == nil {
		e.stores = make(map[*audittrail.Log]*query.Store)
	}
	e.stores[s.Log] = s
	return s.Log, nil
}

// engine answers queries about a log that was opened.
func (e *env) engine(log *audittrail.Log) *query.Engine {
	if s, ok := e.stores[log]; ok {
		return s.Engine
	}
	return query.New(log)
}

// close closes a log, and its index with it.
func (e *env) close(log *audittrail.Log) error {
	if s, ok := e.stores[log]; ok {
		delete(e.stores, log)
		return s.Close()
	}
	return log.Close()
}
