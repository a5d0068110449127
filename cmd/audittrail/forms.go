package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A fileForm is a form that a command writes in, and the endings of the names of
// files in it, of which the first is the usual one.
type fileForm struct {
	name    string
	endings []string
}

// otherEndings are those by which programs know what is in a file, so that it
// must not be something else. A text, or an ending that is not here, may be
// anything.
var otherEndings = []string{
	"pdf", "html", "htm", "md", "markdown", "csv", "tsv", "json", "jsonl", "ndjson", "jsonld", "parquet", "arrow", "feather", "avro",
	"xlsx", "xls", "ods", "docx", "doc", "odt", "rtf", "xml", "rdf", "ttl", "yaml", "yml", "toml", "sqlite", "db",
	"dot", "gv", "mmd", "mermaid", "svg", "png", "jpg", "jpeg", "gif", "webp",
	"zip", "gz", "tgz", "tar", "zst", "xz", "bz2", "7z",
}

// endingOf is how the name of a file ends, in lower case and without the dot.
func endingOf(name string) string {
	return strings.ToLower(strings.TrimPrefix(filepath.Ext(name), "."))
}

// chooseForm is the form of the file of --out: the one that flag asked for as
// given or, where it did not, the one that the file's name says; fallback if
// neither says any. What contradicts is refused.
func chooseForm(out, flag, given, fallback string, forms []fileForm) (string, error) {
	ending := endingOf(out)
	if out == "" || ending == "" {
		return cmp.Or(given, fallback), nil
	}
	i := slices.IndexFunc(forms, func(f fileForm) bool { return slices.Contains(f.endings, ending) })
	switch {
	case i >= 0 && given != "" && given != forms[i].name:
		return "", fmt.Errorf("read --out: the name %s is one of a file of the form %s, and %s says %s; leave %[3]s out, or end the name otherwise", out, forms[i].name, flag, given)
	case i >= 0:
		return forms[i].name, nil
	case slices.Contains(otherEndings, ending):
		var names []string
		for _, f := range forms {
			if len(f.endings) > 0 && (given == "" || given == f.name) {
				names = append(names, "."+f.endings[0])
			}
		}
		return "", fmt.Errorf("read --out: the name %s ends in .%s, and the file would be none; end it in %s", out, ending, alternatives(names))
	}
	return cmp.Or(given, fallback), nil
}

// alternatives lists words of which one is meant.
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// oneForm refuses, before a command runs, the name of a file in another form
// than the one that it writes.
func oneForm(out *string, endings ...string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		if _, err := chooseForm(*out, "", "", "", []fileForm{{"", endings}}); err != nil {
			return fmt.Errorf("%s: %w", nameOf(cmd), err)
		}
		return nil
	}
}

// checkEmpty refuses flags that are given and empty, as an unset variable of a
// script makes them, where another folder, file, key or form would be taken.
func checkEmpty(cmd *cobra.Command) error {
	names := []string{"dir", "keys", "master", "output", "out", "format"}
	if name := nameOf(cmd); name == "report" || name == "hold place" {
		names = nil // any, which would be about everything
	}
	if err := emptyFlag(cmd.Flags(), names...); err != nil {
		return fmt.Errorf("%s: %w", nameOf(cmd), err)
	}
	return nil
}

// nameOf is the name of a command without the program's.
func nameOf(cmd *cobra.Command) string { return strings.TrimPrefix(cmd.CommandPath(), "audittrail ") }

// emptyFlag refuses those of the flags, or any, that are given and empty.
func emptyFlag(flags *pflag.FlagSet, names ...string) error {
	var err error
	flags.Visit(func(f *pflag.Flag) {
		if len(names) > 0 && !slices.Contains(names, f.Name) {
			return
		}
		list, isList := f.Value.(pflag.SliceValue)
		isList = isList && f.Name != "group-by" && f.Name != "agg" // which select nothing
		if v := f.Value.String(); v == "" || v == "[]" || isList && slices.Contains(list.GetSlice(), "") {
			err = fmt.Errorf("read --%s: it is empty; leave it out, or say what is wanted", f.Name)
		}
	})
	return err
}

// checkVariables refuses variables of the environment that are set and empty,
// where that would give more rights, or another log or key, than was meant.
func (e *env) checkVariables(cmd *cobra.Command) error {
	if p, _ := permissionOf(cmd); p == "" && !asksForToken(cmd) {
		return nil // it reads no log of anybody
	}
	for _, v := range []struct{ name, flag, means string }{
		{tokenVar, "", "it would be no token, which permits everything"},
		{dirVar, "dir", "it would be the log in ./audit"},
		{masterVar, "master", "it would be the key in the keyring's folder"},
		{vkeyVar, "", "no key would be trusted"},
	} {
		if f := cmd.Flags().Lookup(v.flag); f != nil && f.Changed {
			continue // which counts in its place
		}
		if value, set := e.lookup(v.name); set && strings.TrimSpace(value) == "" {
			return fmt.Errorf("read $%s: it is set and empty, and %s; set it, or remove it with 'unset %[1]s'", v.name, v.means)
		}
	}
	return nil
}

// lookup returns a variable of the environment, and whether it is set.
func (e *env) lookup(name string) (string, bool) {
	if e.lookupEnv != nil {
		return e.lookupEnv(name)
	}
	value := e.getenv(name)
	return value, value != ""
}
