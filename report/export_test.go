package report

// UpTo returns options under which larger numbers are handled as those beyond
// the program's limits are.
func (o Options) UpTo(n int64) Options {
	o.testOnlyExact = n
	return o
}

// What Verify does with the reports that it compares.
var (
	CircumstancesOf = circumstances
	CaseRecordsOf   = caseRecords
)
