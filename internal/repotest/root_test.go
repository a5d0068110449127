package repotest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestMain runs the tests in the root of the module, from which they name files.
func TestMain(m *testing.M) {
	if err := toRoot(); err != nil {
		fmt.Fprintln(os.Stderr, "repotest:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// toRoot changes to the nearest folder above that has a go.mod.
func toRoot() error {
	dir, err := os.Getwd()
	for err == nil {
		if _, err = os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return os.Chdir(dir)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return err
		}
		dir, err = parent, nil
	}
	return err
}
