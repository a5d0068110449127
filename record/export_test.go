package record

// SealVersion1 is Seal as programs before version 2 had it.
func SealVersion1(s *SealParams) (*Pending, error) { return seal(s, 1) }
