package service

// WithEraseBatch returns the options with another number of users that one record
// erases.
func (o Options) WithEraseBatch(n int) Options {
	o.testOnlyEraseBatch = n
	return o
}
