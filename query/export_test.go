package query

// JoiningAtMost makes the engine join so many halves of calls at a time.
func (e *Engine) JoiningAtMost(n int) *Engine {
	e.joined.testOnlyMost = n
	return e
}
