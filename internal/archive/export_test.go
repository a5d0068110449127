package archive

// Lines are a manifest's lines.
func (m *Manifest) Lines() []string { return m.lines() }
