package service

// LeftOut is how much an answer leaves out, by reason.
type LeftOut struct {
	Archived        uint64 `json:"archived,omitempty"`        // with their segments, in archives
	Dropped         uint64 `json:"dropped,omitempty"`         // with their segments, permanently
	Missing         uint64 `json:"missing,omitempty"`         // and no record says why
	Behind          uint64 `json:"behind,omitempty"`          // signed, and cut off the end of the log
	Unauthenticated uint64 `json:"unauthenticated,omitempty"` // beyond the newest checkpoint, and not signed
	Altered         uint64 `json:"altered,omitempty"`         // and passed over, as was asked
	Unread          uint64 `json:"unread,omitempty"`          // their content cannot be read, and was not destroyed
	UnknownCalls    uint64 `json:"unknown_calls,omitempty"`   // not known whether they count calls
	Cut             bool   `json:"more_than_limit,omitempty"` // the list ends at its limit
}

// A Remainder is what an answer does not say.
type Remainder struct {
	LeftOut
	// Unsearched is how many records meet all conditions but the text, and could
	// not be searched for it: their content is erased, expired or restricted.
	Unsearched uint64
	// Skipped are records that were passed over since they were altered.
	Skipped []uint64
}
