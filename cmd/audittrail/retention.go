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
		Short: "Set, show and apply the retention policy",
		Long: `Retention has the commands for how long records stay: to set the retention
policy, to show what it will do and when, and to apply it.` + exits(ends0, ends1),
		GroupID: groupKeep,
	}
	policy := &cobra.Command{
		Use:   "policy",
		Short: "Set and show the retention policy",
		Long:  "Policy has the commands to set and show the retention policy." + exits(ends0, ends1),
	}
	policy.AddCommand(e.policySetCmd(), e.policyListCmd())
	cmd.AddCommand(policy, e.planCmd(), e.applyCmd())
	return cmd
}

// governed applies the retention policy to the records appended to a log.
func (e *env) governed(log *audittrail.Log, err error) (*audittrail.Log, error) {
	if err != nil {
		return nil, err
	}
	if _, err := e.retention(log, retention.Options{}); err != nil {
		return nil, errors.Join(err, e.close(log))
	}
	return log, nil
}

// retention opens the retention of a log. The configuration file supplies the
// options that are not given.
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
	// As text:
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
		Long: `Set records a policy, which applies to events from then on. It reads a whole
policy from a file in TOML or JSON, in the form that 'retention policy list -o
json' prints; or it sets one class from flags, and, with --type, --model or
--label, a rule by which events get that class. Other classes and rules do not
change.

Periods are written 90d, 26w, 6mo or 10y. A contradictory policy is refused. A
policy that is below a statutory minimum retention causes a warning, and with
--strict is refused.` + exits(ends0, ends1+"; the policy did not change"),
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
	f.StringVar(&o.keepFor, "keep-for", "", "`period` after which contents expire")
	f.StringVar(&o.archiveAfter, "archive-after", "", "`period` after which segments move to an archive")
	f.StringVar(&o.class.ArchiveTo, "archive-to", "", "`folder` of the archive")
	f.StringVar(&o.dropAfter, "drop-after", "", "`period` after which segments are removed")
	f.StringArrayVar(&o.rule.Types, "type", nil, "`type` of events that get the class; may be repeated")
	f.StringArrayVar(&o.rule.Models, "model", nil, "`model` whose events get the class, or 'NAME*'; may be repeated")
	f.StringArrayVar(&o.labels, "label", nil, "label of events that get the class, `KEY=VALUE`; may be repeated")
	f.BoolVar(&o.first, "first", false, "try the rule before the others")
	f.StringVar(&o.removeClass, "remove-class", "", "`name` of a class to remove, with its rules")
	f.StringVar(&o.by, "by", "", "`person` who sets the policy, which the log records (encrypted)")
	f.BoolVar(&o.strict, "strict", false, "refuse a policy below a statutory minimum retention")
	f.StringSliceVar(&o.frameworks, "framework", nil, "`law` whose minimum retention counts: "+strings.Join(retention.Frameworks(), ", ")+" (default "+strings.Join(retention.DefaultFrameworks, ", ")+")")
	e.writerFlags(cmd)
	return cmd
}

func (e *env) policySet(cmd *cobra.Command, o policyFlags) error {
	parts := cmd.Flags().Changed("class") || o.removeClass != ""
	if (o.file != "") == parts {
		return errors.New("set retention policy: give a whole policy with --file, or one class with --class or --remove-class")
	}
	if cmd.Flags().Changed("class") && o.class.Name == "" {
		return errors.New("set retention policy: --class is empty; give the name of a class")
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

// periods parses the flags for periods and labels.
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
			return errors.New("read --label: the value is not of the form KEY=VALUE")
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

// change applies the flags to the policy in force.
func (o *policyFlags) change(m *retention.Manager) (retention.Policy, error) {
	p, _ := m.Policy()
	if o.removeClass != "" {
		if _, ok := p.Class(o.removeClass); !ok {
			return p, fmt.Errorf("the policy has no class %.64q; 'audittrail retention policy list' lists the classes", o.removeClass)
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
them. 'retention policy set --file' accepts the JSON output.` + exits(ends0, ends1),
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
		e.note("no policy was set: everything is kept permanently, in class %s", audittrail.DefaultClass)
	}
	err := e.list(columns, func(yield func(row, error) bool) {
		for _, c := range p.Classes {
			keep := c.KeepFor.String()
			if keep == "" && e.output == asTable {
				keep = "always"
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
