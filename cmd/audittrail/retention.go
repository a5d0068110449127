package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/retention"
)

func (e *env) retentionCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Say how long records stay, and have it done",
		Long: `Retention has the commands about how long what is recorded stays: the policy,
what it will do and when, and doing it.` + exits(ends0, ends1),
		GroupID: groupKeep,
	}
	policy := &cobra.Command{
		Use:   "policy",
		Short: "Set and show the retention policy",
		Long:  "Policy has the commands about the policy by which records are kept." + exits(ends0, ends1),
	}
	policy.AddCommand(e.policySetCmd(), e.policyListCmd())
	cmd.AddCommand(policy, e.planCmd(), e.applyCmd())
	return cmd
}

// governed puts the retention policy in force for what is recorded to a log.
func (e *env) governed(log *audittrail.Log, err error) (*audittrail.Log, error) {
	if err != nil {
		return nil, err
	}
	if _, err := e.retention(log, retention.Options{}); err != nil {
		return nil, errors.Join(err, e.close(log))
	}
	return log, nil
}

// retention opens the retention of a log, as the configuration has it where the
// options say nothing.
func (e *env) retention(log *audittrail.Log, o retention.Options) (*retention.Manager, error) {
	c, err := e.config()
	if err != nil {
		return nil, err
	}
	o.Strict = o.Strict || c.Retention.Strict
	if o.Frameworks == nil {
		o.Frameworks = c.Retention.Frameworks
	}
	return retention.Open(e.ctx, log, o)
}

type policyFlags struct {
	file  string
	class retention.Class
	rule  retention.Rule
	// As they were given:
	keepFor, archiveAfter, dropAfter string
	labels                           []string
	first, strict                    bool
	frameworks                       []string
	removeClass                      string
	by                               string
}

func (e *env) policySetCmd() *cobra.Command {
	var o policyFlags
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Set the retention policy, or a part of it",
		Long: `Set records a policy, which counts for the events that are accepted from then
on. It takes the whole of it from a file in TOML or JSON, as 'retention policy
list -o json' prints it; or one class from flags, and, with --type, --model or
--label, a rule by which events get that class. The class becomes what the flags
say; the others, and the other rules, stay.

Periods are written 90d, 26w, 6mo or 10y. A policy that contradicts itself is
refused. One that is below what a law wants is warned of, and with --strict
refused.` + exits(ends0, ends1+": nothing was changed"),
		Example: `  audittrail retention policy set --class standard --keep-for 6mo
  audittrail retention policy set --class incidents --keep-for 10y \
    --archive-after 1y --archive-to /mnt/archive --type safety_incident
  audittrail retention policy set --file policy.toml`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.policySet(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.file, "file", "", "`file` of the whole policy; - is standard input")
	f.StringVar(&o.class.Name, "class", "", "`name` of the class")
	f.StringVar(&o.keepFor, "keep-for", "", "`period` for which contents can be read")
	f.StringVar(&o.archiveAfter, "archive-after", "", "`period` after which segments move to an archive")
	f.StringVar(&o.class.ArchiveTo, "archive-to", "", "`folder` of the archive")
	f.StringVar(&o.dropAfter, "drop-after", "", "`period` after which segments are removed")
	f.StringArrayVar(&o.rule.Types, "type", nil, "`type` of events that get the class; may be repeated")
	f.StringArrayVar(&o.rule.Models, "model", nil, "`model` whose events get it, or 'NAME*'; may be repeated")
	f.StringArrayVar(&o.labels, "label", nil, "label that its events have, `KEY=VALUE`; may be repeated")
	f.BoolVar(&o.first, "first", false, "try the rule before the others")
	f.StringVar(&o.removeClass, "remove-class", "", "`name` of a class to take out, with its rules")
	f.StringVar(&o.by, "by", "", "`who` sets it, for the record of it (sealed)")
	f.BoolVar(&o.strict, "strict", false, "refuse what is below a legal floor")
	f.StringSliceVar(&o.frameworks, "framework", nil, "`law` whose floors count: "+strings.Join(retention.Frameworks(), ", ")+" (default "+strings.Join(retention.DefaultFrameworks, ", ")+")")
	e.writerFlags(cmd)
	return cmd
}

func (e *env) policySet(cmd *cobra.Command, o policyFlags) error {
	parts := cmd.Flags().Changed("class") || o.removeClass != ""
	if (o.file != "") == parts {
		return errors.New("set retention policy: give a whole policy with --file, or one class with --class or --remove-class")
	}
	if cmd.Flags().Changed("class") && o.class.Name == "" {
		return errors.New("set retention policy: --class is empty; give a name")
	}
	if err := o.periods(); err != nil {
		return fmt.Errorf("set retention policy: %w", err)
	}
	var whole retention.Policy
	if o.file != "" {
		text, err := e.readInput(o.file, maxSmallFile)
		if err == nil {
			whole, err = retention.ParsePolicy(text)
		}
		if err != nil {
			return err
		}
	}
	return e.with(e.openToWrite, func(log *audittrail.Log) error {
		m, err := e.retention(log, retention.Options{Strict: o.strict, Frameworks: o.frameworks})
		if err != nil {
			return err
		}
		if o.file == "" {
			if whole, err = o.change(m); err != nil {
				return fmt.Errorf("set retention policy: %w", err)
			}
		}
		short, err := m.Set(e.ctx, whole, o.by)
		if err != nil {
			return err
		}
		for i := range short {
			e.note("warning: %s", &short[i])
		}
		return e.receipt("as the policy in force", e.showPolicy(m))
	})
}

// periods reads the flags that are periods and labels.
func (o *policyFlags) periods() error {
	for _, p := range []struct {
		flag, text string
		to         *retention.Period
	}{
		{"keep-for", o.keepFor, &o.class.KeepFor},
		{"archive-after", o.archiveAfter, &o.class.ArchiveAfter},
		{"drop-after", o.dropAfter, &o.class.DropAfter},
	} {
		if p.text == "" {
			continue
		}
		var err error
		if *p.to, err = retention.ParsePeriod(p.text); err != nil {
			return fmt.Errorf("read --%s: %w", p.flag, err)
		}
	}
	for _, l := range o.labels {
		key, value, ok := strings.Cut(l, "=")
		if !ok || key == "" {
			return errors.New("read --label: it is not KEY=VALUE")
		}
		if o.rule.Labels == nil {
			o.rule.Labels = make(map[string]string)
		}
		o.rule.Labels[key] = value
	}
	if o.class.ArchiveTo != "" {
		to, err := filepath.Abs(o.class.ArchiveTo)
		if err != nil {
			return err
		}
		o.class.ArchiveTo = to
	}
	return nil
}

// change makes the policy that the flags make of the one in force.
func (o *policyFlags) change(m *retention.Manager) (retention.Policy, error) {
	p, _ := m.Policy()
	if o.removeClass != "" {
		if _, ok := p.Class(o.removeClass); !ok {
			return p, fmt.Errorf("the policy has no class %.64q", o.removeClass)
		}
		p = p.Without(o.removeClass)
	}
	if o.class.Name == "" {
		return p, nil
	}
	rule := o.rule
	conditions := len(rule.Types)+len(rule.Models)+len(rule.Labels) > 0
	only := conditions && o.class == retention.Class{Name: o.class.Name}
	if _, known := p.Class(o.class.Name); !only || !known {
		p = p.Put(o.class)
	}
	if !conditions {
		return p, nil
	}
	rule.Class = o.class.Name
	if o.first {
		p.Rules = slices.Insert(slices.Clone(p.Rules), 0, rule)
	} else {
		p.Rules = append(slices.Clone(p.Rules), rule)
	}
	return p, nil
}

func (e *env) policyListCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the retention policy",
		Long: `List shows the policy in force: its classes, and the rules by which events get
them. As JSON it is what 'retention policy set --file' takes.` + exits(ends0, ends1),
		Example: "  audittrail retention policy list -o json > policy.json",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.with(e.openToRead, func(log *audittrail.Log) error {
				m, err := e.retention(log, retention.Options{})
				if err == nil {
					err = e.showPolicy(m)
				}
				if err != nil {
					return fmt.Errorf("retention policy list: %w", err)
				}
				return nil
			})
		},
	}
}

// showPolicy prints the policy in force.
func (e *env) showPolicy(m *retention.Manager) error {
	p, set := m.Policy()
	if e.output == asJSON {
		if p.Classes == nil {
			p.Classes = []retention.Class{}
		}
		return display.JSON(e.stdout, p)
	}
	columns := []column{
		{name: "class", width: 14},
		{name: "keep for", width: 9},
		{name: "archive", width: 8},
		{name: "drop", width: 8},
		{name: "archive to", width: 12},
	}
	if e.output == asTable && set.Time.IsZero() {
		e.note("no policy was set: everything is kept for good, in class %s", audittrail.DefaultClass)
	}
	err := e.list(columns, func(yield func(row, error) bool) {
		for _, c := range p.Classes {
			keep := c.KeepFor.String()
			if keep == "" && e.output == asTable {
				keep = "for good"
			}
			if !yield(row{[]string{c.Name, keep, c.ArchiveAfter.String(), c.DropAfter.String(), c.ArchiveTo}, c}, nil) {
				return
			}
		}
	})
	if err != nil || e.output != asTable || len(p.Rules) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(e.stdout); err != nil {
		return err
	}
	return e.list([]column{{name: "rule", width: 4, right: true}, {name: "class", width: 14}, {name: "of events with", width: 30, wrap: true}}, func(yield func(row, error) bool) {
		for i, r := range p.Rules {
			if !yield(row{[]string{fmt.Sprint(i + 1), r.Class, r.String()}, r}, nil) {
				return
			}
		}
	})
}
