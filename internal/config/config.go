// Package config reads config.toml, the file with a log's settings, in its
// folder. Every setting has a default, and the file may be missing.
//
// The whole file is checked before any setting is used: unknown keys are
// refused, since a misspelled setting would be a rule without effect.
// docs/configuration.md has every key.
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

// A Config has the settings of the file.
type Config struct {
	// SeparateDuties denies content to users who administer access, and
	// administration to users who read content, and requires four-eyes approval
	// of erasures and releases of holds.
	SeparateDuties bool `toml:"separate_duties"`
	// RecordReads says when the local command line records that it showed
	// content.
	RecordReads Reads `toml:"record_reads"`
	// SegmentBytes is the length at which a new segment is begun; 0 is the
	// log's default.
	SegmentBytes int64 `toml:"segment_bytes"`
	// Retention has the settings for retention policies.
	Retention Retention `toml:"retention"`
	// Purposes has, for each retention class, the purpose of its records, for
	// data subject access requests.
	Purposes map[string]string `toml:"purposes"`
	// Roles are roles in addition to the built-in ones.
	Roles map[string]Role `toml:"roles"`
}

// A Role is a role that the organisation defines.
type Role struct {
	Permissions []string `toml:"permissions"`
	Description string   `toml:"description"`
}

// Retention says how retention policies are checked.
type Retention struct {
	// Strict refuses a policy below a statutory minimum retention; otherwise
	// there is a warning.
	Strict bool `toml:"strict"`
	// Frameworks are the laws and standards whose minimums apply; nil is the
	// default of package retention.
	Frameworks []string `toml:"frameworks"`
}

// Reads says when reads of content are recorded.
type Reads string

// When the local command line records that it showed content: once somebody was
// granted access, which is the default, or always, or never.
const (
	ReadsGoverned Reads = "governed"
	ReadsAlways   Reads = "always"
	ReadsNever    Reads = "never"
)

// Read reads a configuration. If there is no file, it returns the default.
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
		return nil, fmt.Errorf("longer than %d bytes", maxBytes)
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
		return nil, fmt.Errorf("unknown setting %s; docs/configuration.md lists all settings", strings.Join(names, ", "))
	}
	return c, c.check()
}

// explain returns an error of one line that says where a file is not TOML, or
// what a value should be.
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
		return fmt.Errorf("invalid record_reads %q: use %s, %s or %s", c.RecordReads, ReadsGoverned, ReadsAlways, ReadsNever)
	}
	return nil
}
