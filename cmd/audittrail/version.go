package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/record"
)

func (e *env) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Long:    "Version prints the version of this program, of the Go release that built it, and\nof the record format that it writes." + exits(ends0),
		Example: "  audittrail version -o json",
		Args:    cobra.NoArgs,
		GroupID: groupKeep,
		RunE:    func(*cobra.Command, []string) error { return e.version() },
	}
}

func (e *env) version() error {
	v := struct {
		Version  string `json:"version"`
		Revision string `json:"revision,omitempty"`
		Format   int    `json:"record_format"`
		Go       string `json:"go"`
		System   string `json:"system"`
	}{Version: "(unknown)", Format: record.Version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	fields := []field{{"version", v.Version}, {"record format", display.Number(v.Format)}, {"go", v.Go}, {"system", v.System}}
	if v.Revision != "" {
		fields = append(fields, field{"revision", v.Revision})
	}
	return e.sheet(v, fields)
}
