package record

// SealVersion1 is Seal of programs before version 2.
func SealVersion1(s *SealParams) (*Pending, error) { return seal(s, 1) }
