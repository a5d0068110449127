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

// A fileForm is a form in which a command writes, with the endings of the names
// of its files. The first ending is the usual one.
type fileForm struct {
	name    string
	endings []string
}

// otherEndings are the endings that programs take for a certain form, so that
// the file must have that form. A file with another ending may have any form.
var otherEndings = []string{
	"pdf", "html", "htm", "md", "markdown", "csv", "tsv", "json", "jsonl", "ndjson", "jsonld", "parquet", "arrow", "feather", "avro",
	"xlsx", "xls", "ods", "docx", "doc", "odt", "rtf", "xml", "rdf", "ttl", "yaml", "yml", "toml", "sqlite", "db",
	"dot", "gv", "mmd", "mermaid", "svg", "png", "jpg", "jpeg", "gif", "webp",
	"zip", "gz", "tgz", "tar", "zst", "xz", "bz2", "7z",
}

// endingOf returns the ending of a file name, in lower case and without the dot.
func endingOf(name string) string {
	return strings.ToLower(strings.TrimPrefix(filepath.Ext(name), "."))
}

// chooseForm returns the form of the file of --out: given, which is the value of
// flag, or else the form of the file name's ending, or else fallback. It refuses
// a name that contradicts the flag.
func chooseForm(out, flag, given, fallback string, forms []fileForm) (string, error) {
	ending := endingOf(out)
	if out == "" || ending == "" {
		return cmp.Or(given, fallback), nil
	}
	i := slices.IndexFunc(forms, func(f fileForm) bool { return slices.Contains(f.endings, ending) })
	switch {
	case i >= 0 && given != "" && given != forms[i].name:
		return "", fmt.Errorf("read --out: the name %s is that of a file in the form %s, and %s says %s; leave %[3]s out, or change the ending of the name", out, forms[i].name, flag, given)
	case i >= 0:
		return forms[i].name, nil
	case slices.Contains(otherEndings, ending):
		var names []string
		for _, f := range forms {
			if len(f.endings) > 0 && (given == "" || given == f.name) {
				names = append(names, "."+f.endings[0])
			}
		}
		return "", fmt.Errorf("read --out: the name %s ends in .%s, a form that this command cannot write; end it in %s", out, ending, alternatives(names))
	}
	return cmp.Or(given, fallback), nil
}

// alternatives joins words with "or".
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// oneForm refuses, before a command runs, a file name whose ending is that of a
// form that the command does not write.
func oneForm(out *string, endings ...string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		if _, err := chooseForm(*out, "", "", "", []fileForm{{"", endings}}); err != nil {
			return fmt.Errorf("%s: %w", nameOf(cmd), err)
		}
		return nil
	}
}

// checkEmpty refuses flags with an empty value, such as from an unset variable
// of a script, where a default folder, file, key or form would replace it.
func checkEmpty(cmd *cobra.Command) error {
	names := []string{"dir", "keys", "master", "output", "out", "format"}
	if name := nameOf(cmd); name == "report" || name == "hold place" {
		names = nil // any flag, since an empty one would select everything
	}
	if err := emptyFlag(cmd.Flags(), names...); err != nil {
		return fmt.Errorf("%s: %w", nameOf(cmd), err)
	}
	return nil
}

// nameOf returns the name of a command without the program's.
func nameOf(cmd *cobra.Command) string { return strings.TrimPrefix(cmd.CommandPath(), "audittrail ") }

// emptyFlag refuses an empty value of one of the named flags, or of any flag.
func emptyFlag(flags *pflag.FlagSet, names ...string) error {
	var err error
	flags.Visit(func(f *pflag.Flag) {
		if len(names) > 0 && !slices.Contains(names, f.Name) {
			return
		}
		list, isList := f.Value.(pflag.SliceValue)
		isList = isList && f.Name != "group-by" && f.Name != "agg" // these select no records
		if v := f.Value.String(); v == "" || v == "[]" || isList && slices.Contains(list.GetSlice(), "") {
			err = fmt.Errorf("read --%s: the value is empty; leave the flag out, or give a value", f.Name)
		}
	})
	return err
}

// checkVariables refuses environment variables that are set and empty, where the
// default would give more rights, or another log or key, than intended.
func (e *env) checkVariables(cmd *cobra.Command) error {
	if p, _ := permissionOf(cmd); p == "" && !asksForToken(cmd) {
		return nil // the command reads no existing log
	}
	for _, v := range []struct{ name, flag, means string }{
		{tokenVar, "", "without a token, everything would be permitted"},
		{dirVar, "dir", "the log in ./audit would be used"},
		{masterVar, "master", "the master key in the keyring's folder would be used"},
		{vkeyVar, "", "no key would be trusted"},
	} {
		if f := cmd.Flags().Lookup(v.flag); f != nil && f.Changed {
			continue // the flag overrides the variable
		}
		if value, set := e.lookup(v.name); set && strings.TrimSpace(value) == "" {
			return fmt.Errorf("read $%s: the variable is set and empty, and %s; give it a value, or remove it with 'unset %[1]s'", v.name, v.means)
		}
	}
	return nil
}

// lookup returns an environment variable, and whether it is set.
func (e *env) lookup(name string) (string, bool) {
	if e.lookupEnv != nil {
		return e.lookupEnv(name)
	}
	value := e.getenv(name)
	return value, value != ""
}
