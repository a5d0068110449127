// Package config reads config.toml, the one file of settings in a log's folder.
// Every setting has a default, and a log without the file has them all.
//
// The file is checked whole before anything acts on it: a key that is not
// known is refused, since a setting that was misspelled is a rule that does not
// hold. docs/configuration.md has every key.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/BurntSushi/toml"

	"audittrail/internal/vfs"
)

// Name is the file's name in the folder of the log.
const Name = "config.toml"

// maxBytes bounds the file.
const maxBytes = 1 << 20

// A Config is what the file says.
type Config struct {
	// SeparateDuties takes content from those who administer access, and
	// administration from those who read content, and has a second person
	// approve erasures and releases of holds.
	SeparateDuties bool `toml:"separate_duties"`
	// RecordReads says when the local command line records that it showed
	// content.
	RecordReads Reads `toml:"record_reads"`
	// SegmentBytes is how long a file of records gets; 0 is what the log has.
	SegmentBytes int64 `toml:"segment_bytes"`
	// Retention is about how long records stay.
	Retention Retention `toml:"retention"`
	// Purposes say, for each retention class, what its records are for: for the
	// people who ask what is held on them.
	Purposes map[string]string `toml:"purposes"`
	// Roles are roles beside the built-in ones.
	Roles map[string]Role `toml:"roles"`
}

// A Role is a role of the organisation's own.
type Role struct {
	Permissions []string `toml:"permissions"`
	Description string   `toml:"description"`
}

// Retention is what a retention policy is held against.
type Retention struct {
	// Strict refuses a policy that is below a legal floor; else it is warned of.
	Strict bool `toml:"strict"`
	// Frameworks are those whose floors count; nil is what package retention has.
	Frameworks []string `toml:"frameworks"`
}

// Reads says when reads of content are recorded.
type Reads string

// When the local command line records that it showed content: once anybody was
// granted access, which is the default, or always, or never.
const (
	ReadsGoverned Reads = "governed"
	ReadsAlways   Reads = "always"
	ReadsNever    Reads = "never"
)

// Read reads a configuration. Where there is no file, it is the default.
func Read(fsys vfs.FS, name string) (*Config, error) {
	text, err := vfs.ReadFile(fsys, name, maxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return Parse(nil)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	c, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return c, nil
}

// Parse reads the text of a configuration.
func Parse(text []byte) (*Config, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("it is longer than %d bytes", maxBytes)
	}
	c := &Config{RecordReads: ReadsGoverned}
	meta, err := toml.Decode(string(text), c)
	if err != nil {
		return nil, explain(err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		var names []string
		for _, key := range unknown {
			names = append(names, key.String())
		}
		return nil, fmt.Errorf("there is no setting %s; docs/configuration.md has those that there are", strings.Join(names, ", "))
	}
	return c, c.check()
}

// explain says in one line where a file stops being TOML, or what a value
// should have been.
func explain(err error) error {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("line %d: %s", parse.Position.Line, parse.Message)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "toml: "))
}

func (c *Config) check() error {
	switch c.RecordReads {
	case ReadsGoverned, ReadsAlways, ReadsNever:
	default:
		return fmt.Errorf("record_reads is %q, want %s, %s or %s", c.RecordReads, ReadsGoverned, ReadsAlways, ReadsNever)
	}
	return nil
}
