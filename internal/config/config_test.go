package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/internal/config"
	"audittrail/internal/vfs"
)

// TestDocumented reads the file that docs/configuration.md shows.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatal("docs/configuration.md shows no file")
	}
	c, err := config.Parse(m[1])
	if err != nil {
		t.Fatal(err)
	}
	if !c.SeparateDuties || c.RecordReads != config.ReadsGoverned || len(c.Roles["analyst"].Permissions) != 2 ||
		!c.Retention.Strict || len(c.Retention.Frameworks) != 2 || c.SegmentBytes != 64<<20 {
		t.Errorf("Parse = %+v", c)
	}
}

func TestDefault(t *testing.T) {
	c, err := config.Read(vfs.OS, filepath.Join(t.TempDir(), config.Name))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&config.Config{RecordReads: config.ReadsGoverned}, c); diff != "" {
		t.Errorf("without a file (-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"seperate_duties = true":                          "unknown setting seperate_duties",
		"[roles.x]\npermisions = []":                      "unknown setting roles.x.permisions",
		"separate_duties = \"yes\"":                       "separate_duties",
		"separate_duties = true\nx":                       "line 2",
		"separate_duties = true\nseparate_duties = false": "line 2",
		"[retention]\nstrikt = true":                      "unknown setting retention.strikt",
		"record_reads = \"sometimes\"":                    "invalid record_reads \"sometimes\"",
		"a = \"\xff\"":                                    "line 1",
		strings.Repeat("#", 1<<20) + "\n#":                "longer than",
	} {
		c, err := config.Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%.40q) = %+v, %v, want an error with %q", text, c, err, want)
		}
	}
	name := filepath.Join(t.TempDir(), config.Name)
	if err := os.WriteFile(name, []byte("x = 1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Read(vfs.OS, name); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("Read: %v, want an error that names the file", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("separate_duties = true\n[roles.x]\npermissions = [\"verify\"]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Parse([]byte(text))
		if err == nil && c.RecordReads == "" {
			t.Errorf("Parse(%q) = %+v", text, c)
		}
	})
}
