package main

import (
	"testing"

	"github.com/spf13/cobra"
)

// TestPermits knows of every command what it needs of whoever gives it a token.
func TestPermits(t *testing.T) {
	e, _, _ := newEnv(t)
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			look(c)
		}
		if _, known := permissionOf(cmd); cmd.Runnable() && cmd.HasParent() && !known {
			t.Errorf("%s is neither in permits nor in asks", cmd.CommandPath())
		}
	}
	look(e.rootCmd())
}
