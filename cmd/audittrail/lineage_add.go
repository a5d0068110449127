package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"audittrail"
	"audittrail/lineage"
	"audittrail/lineage/artifact"
)

func (e *env) lineageAddCmd() *cobra.Command {
	var names []string
	for _, k := range lineage.Kinds() {
		names = append(names, string(k))
	}
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Register a dataset, a training run, a model version, …",
		Long: `Add has a command for each kind of entity. A registered entity does not change:
registering the same one again has no effect, and a different one under the same
id is refused.` + exits(ends0, ends1, ends2, ends4),
		Example: "  audittrail lineage add dataset --help",
		Args:    subcommands,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("lineage add: name the kind of the entity: %s", strings.Join(names, ", "))
		},
	}
	for _, k := range lineage.Kinds() {
		cmd.AddCommand(e.lineageAddKindCmd(k))
	}
	return cmd
}

// subcommands refuses the name of a command that does not exist.
func subcommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	near := cmd.SuggestionsFor(args[0])
	text := fmt.Sprintf("%s has no command %q", cmd.CommandPath(), args[0])
	if len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text + "; '" + cmd.CommandPath() + " --help' lists them")
}

const failsToRegister = "1  failure, and nothing was registered: stderr says why"

// additions is the help of the commands that add an entity.
var additions = map[lineage.Kind]struct{ long, example string }{
	lineage.KindDataset: {
		"Add dataset registers data from which other data or a model can be made.",
		`  audittrail lineage add dataset --name tickets --version 2026-10 \
    --record-count 120000 --personal-data --digest-of tickets.parquet
  audittrail lineage add dataset --name clean --source dataset:tickets@2026-10`,
	},
	lineage.KindPrompt: {
		"Add prompt registers a prompt template: text that is sent to a model around the\nuser's input.",
		`  audittrail lineage add prompt --name polite --version 1 --text-file polite.txt`,
	},
	lineage.KindRun: {
		"Add run registers a training run: one execution, with its inputs and outputs.",
		`  audittrail lineage add run --name bot-3 --model bot \
    --dataset tickets@2026-10 --parameter epochs=3 --metric accuracy=0.93`,
	},
	lineage.KindModel: {
		"Add model registers one version of a model. Calls are assigned to it by the name\nand version recorded with them (log -m NAME --model-version VERSION).",
		`  audittrail lineage add model --name bot --version 3 --run run:bot-3 \
    --risk-tier limited --intended-use "answers tickets"`,
	},
	lineage.KindEvaluation: {
		"Add evaluation registers a measurement of a model version.",
		`  audittrail lineage add evaluation --name red-team --model bot@3 \
    --metric refused=0.98 --result passed`,
	},
	lineage.KindDeployment: {
		"Add deployment registers where a model version answers calls. Calls are assigned\nto it by its id (log --deployment ID), or by their model and version.",
		`  audittrail lineage add deployment --model bot@3 --environment production
  audittrail lineage add deployment --model bot@3 --id prod-7 --from 2026-11-02`,
	},
}

const additionHelp = `

Leave out unknown fields. Name other entities by id or by NAME@VERSION. Without
--id, the id of the new entity is generated from its name and version. The
entity can also be read from a JSON file, with the members of
docs/format/lineage.md; flags then override its fields.`

func (e *env) lineageAddKindCmd(k lineage.Kind) *cobra.Command {
	var file, textFile, digestOf string
	help := additions[k]
	cmd := &cobra.Command{
		Use:     string(k),
		Short:   "Register a " + kindNames[k].one,
		Long:    help.long + additionHelp + exits(ends0, failsToRegister, ends2, ends4),
		Example: help.example + "\n  audittrail lineage add " + string(k) + " --file " + string(k) + ".json -o json",
		Args:    takes(),
	}
	if k == lineage.KindEvaluation {
		cmd.Short = "Register an evaluation"
	}
	f := cmd.Flags()
	f.SortFlags = false
	flags := thingFlags(f, k)
	if f.Lookup("digest") != nil {
		f.StringVar(&digestOf, "digest-of", "", "compute the digest of this `file` or folder, and register that")
	}
	if f.Lookup("text") != nil {
		f.StringVar(&textFile, "text-file", "", "read the text from this `file`; - is standard input")
	}
	f.StringVar(&file, "file", "", "`file` of the entity in JSON; - is standard input")
	e.writerFlags(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		err := e.addThing(k, f, flags, additionFiles{file, textFile, digestOf})
		if err != nil {
			return fmt.Errorf("lineage add %s: %w", k, err)
		}
		return nil
	}
	return cmd
}

// A thingFlag is the flag of a field.
type thingFlag struct {
	lineage.Field
	name string
}

// thingFlags adds a flag for each field of a kind, and returns them in the order
// in which they are shown.
func thingFlags(f *pflag.FlagSet, k lineage.Kind) []thingFlag {
	fields := lineage.Fields(k)
	rank := func(d lineage.Field) int {
		for i, u := range thingUsage {
			if u.field == d.Name {
				return i
			}
		}
		panic("audittrail: the field " + d.Name + " of lineage has no usage")
	}
	slices.SortFunc(fields, func(a, b lineage.Field) int { return rank(a) - rank(b) })
	flags := make([]thingFlag, 0, len(fields))
	for _, d := range fields {
		name := strings.ReplaceAll(d.Name, "_", "-")
		usage := thingUsage[rank(d)].text
		if text, ok := kindUsage[string(k)+"."+d.Name]; ok {
			usage = text
		}
		switch d.Type {
		case lineage.TypeIDs:
			name = strings.TrimSuffix(name, "s")
			f.StringArray(name, nil, usage+"; may be repeated")
		case lineage.TypeValues:
			name = strings.TrimSuffix(name, "s")
			f.StringArray(name, nil, usage+", `KEY=VALUE`: JSON, or else text; may be repeated")
		case lineage.TypeBool:
			f.Bool(name, false, usage)
		case lineage.TypeCount:
			f.Int64(name, 0, usage)
		case lineage.TypeTime:
			f.String(name, "", usage+": a `time` in RFC 3339, a date, or how long ago: 7d")
		case lineage.TypeText, lineage.TypeID:
			f.String(name, "", usage)
		}
		flags = append(flags, thingFlag{d, name})
	}
	return flags
}

// thingUsage describes the fields of entities, in the order in which they are
// shown.
var thingUsage = []struct{ field, text string }{
	{"name", "`name`"},
	{"version", "`version`"},
	{"id", "`id`, instead of one generated from name and version"},
	{"model", "model version concerned, an `id` or NAME@VERSION"},
	{"environment", "environment in which it answers calls: production, … (`name`)"},
	{"endpoint", "`address` at which it answers calls"},
	{"run", "training run whose output it is (`id`)"},
	{"base_model", "model version on which it is based (`id`)"},
	{"datasets", "dataset that is an input (`id`)"},
	{"parent", "entity from which it was made, an `id` of the same kind"},
	{"sources", "dataset from which it was made (`id`)"},
	{"prompts", "prompt template with which it is used (`id`)"},
	{"digest", "digest, `ALGORITHM:HEX`, or 64 digits of SHA-256"},
	{"record_count", "`number` of its records"},
	{"personal_data", "it contains personal data; =false states that it does not"},
	{"location", "`place` where it is stored"},
	{"format", "`format` of its files: parquet, safetensors, …"},
	{"licence", "`licence` of its use"},
	{"owner", "`name` of the person or team responsible for it"},
	{"risk_tier", "risk `tier`, as defined by a law or the organisation: high"},
	{"intended_use", "intended use (`text`)"},
	{"text", "`text` of the template"},
	{"code", "commit, image or notebook that ran (`reference`)"},
	{"parameters", "parameter"},
	{"metrics", "metric"},
	{"result", "`result`: passed, failed, …"},
	{"evaluator", "`name` of the person or program that measured"},
	{"report", "`place` of the report"},
	{"created", "when it was created"},
	{"start", "when it began"},
	{"end", "when it ended"},
	{"from", "start of its active period"},
	{"to", "end of its active period"},
	{"description", "`text` about it"},
	{"attributes", "attribute for which there is no flag"},
}

// kindUsage describes the fields that have another meaning for a kind.
var kindUsage = map[string]string{
	"run.model":             "`name` of the trained model",
	"run.datasets":          "dataset that is an input (`id`)",
	"run.environment":       "environment of the run",
	"evaluation.datasets":   "dataset used for the measurement (`id`)",
	"evaluation.prompts":    "prompt template used for the measurement (`id`)",
	"evaluation.digest":     "digest of the report, `ALGORITHM:HEX`",
	"evaluation.id":         "`id`, instead of one generated from the other fields",
	"model.datasets":        "dataset used for training, besides the run's (`id`)",
	"model.parent":          "model version from which it was made (`id`)",
	"prompt.parent":         "template from which it was made (`id`)",
	"prompt.datasets":       "dataset from which its examples are taken (`id`)",
	"deployment.id":         "`id` that calls carry, instead of one generated from the rest",
	"dataset.personal_data": "it contains personal data; =false states that it does not",
}

// additionFiles are the files from which an entity is read.
type additionFiles struct{ thing, text, digest string }

// maxThingFile bounds the file of one entity: more than any entity needs.
const maxThingFile = 32 << 20

func (e *env) addThing(k lineage.Kind, f *pflag.FlagSet, flags []thingFlag, files additionFiles) error {
	thing := lineage.New(k)
	if files.thing != "" {
		data, err := e.readJSON(files.thing, maxThingFile)
		if err == nil {
			err = lineage.Update(thing, data)
		}
		if err != nil {
			return fmt.Errorf("read --file %s: %w", inputName(files.thing), err)
		}
	}
	members, err := e.members(f, flags)
	if err != nil {
		return err
	}
	if err := e.addFiles(members, files); err != nil {
		return err
	}
	return e.lineageWriting(e.openOrCreate, func(t *lineage.Tracker) error {
		g, err := t.Graph(e.ctx)
		if err != nil {
			return err
		}
		if err := resolve(g, cmp.Or(text(members["id"]), thing.Identity()), flags, members); err != nil {
			return err
		}
		data, err := json.Marshal(members)
		if err != nil {
			return err
		}
		if err := lineage.Update(thing, data); err != nil {
			return err
		}
		r, err := t.Register(e.ctx, thing)
		if err != nil {
			return err
		}
		return e.registered(r)
	})
}

// lineageWriting opens the log to write, and its lineage.
func (e *env) lineageWriting(open func() (*audittrail.Log, error), use func(*lineage.Tracker) error) error {
	return e.with(open, func(log *audittrail.Log) error {
		t, err := lineage.Open(e.ctx, log)
		if err != nil {
			return err
		}
		return use(t)
	})
}

// registered prints the receipt of an entity.
func (e *env) registered(r lineage.Registered) error {
	if r.Duplicate {
		e.note("the same entity was registered before; this is its first receipt")
	}
	what := fmt.Sprintf("as record %d, id %s", r.Seq, r.ID)
	return e.receipt(what, e.sheet(r, []field{{"id", r.ID}, {"seq", strconv.FormatUint(r.Seq, 10)}, {"hash", r.Hash.String()}}))
}

// members are the fields that flags give, as JSON has them.
func (e *env) members(f *pflag.FlagSet, flags []thingFlag) (map[string]any, error) {
	members := map[string]any{}
	for _, t := range flags {
		if !f.Changed(t.name) {
			continue
		}
		text := f.Lookup(t.name).Value.String()
		var err error
		switch t.Type {
		case lineage.TypeIDs:
			members[t.Name], err = f.GetStringArray(t.name)
		case lineage.TypeValues:
			members[t.Name], err = values(f, t.name)
		case lineage.TypeBool:
			members[t.Name], err = f.GetBool(t.name)
		case lineage.TypeCount:
			members[t.Name], err = f.GetInt64(t.name)
		case lineage.TypeTime:
			var at time.Time
			at, err = parseWhen(t.name, text, e.now(), time.UTC)
			members[t.Name] = at.UTC().Format(time.RFC3339Nano)
		case lineage.TypeText, lineage.TypeID:
			members[t.Name] = text
		}
		if err == nil && text == "" {
			// An empty variable of a script would leave it out.
			err = fmt.Errorf("read --%s: the value is empty; leave the flag out, or give a value", t.name)
		}
		if err != nil {
			return nil, err
		}
	}
	return members, nil
}

// values reads the KEY=VALUE pairs of a flag.
func values(f *pflag.FlagSet, name string) (map[string]json.RawMessage, error) {
	pairs, err := f.GetStringArray(name)
	if err != nil {
		return nil, err
	}
	out := make(map[string]json.RawMessage, len(pairs))
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("read --%s: the value is not of the form KEY=VALUE", name)
		}
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("read --%s: the key %q is given twice; give it once", name, key)
		}
		raw := json.RawMessage(value)
		if !json.Valid(raw) {
			if raw, err = json.Marshal(value); err != nil {
				return nil, err
			}
		}
		out[key] = raw
	}
	return out, nil
}

// addFiles adds what --text-file and --digest-of give.
func (e *env) addFiles(members map[string]any, files additionFiles) error {
	if files.text != "" {
		if files.text == "-" && files.thing == "-" {
			return errors.New("read --text-file: --file reads standard input already; name a file in one of the two")
		}
		if _, ok := members["text"]; ok {
			return errors.New("give either --text or --text-file")
		}
		text, err := e.readInput(files.text, lineage.MaxText)
		if err != nil {
			return fmt.Errorf("read --text-file %s: %w", inputName(files.text), err)
		}
		members["text"] = string(text)
	}
	if files.digest != "" {
		if _, ok := members["digest"]; ok {
			return errors.New("give either --digest or --digest-of")
		}
		progress, finish := e.ticks("reading", true)
		digest, err := artifact.Digest(e.ctx, files.digest, "", progress)
		finish()
		if err != nil {
			return err
		}
		members["digest"] = digest
	}
	return nil
}

// text returns a member that is a text, or an empty text.
func text(member any) string {
	s, _ := member.(string)
	return s
}

// resolve replaces the names of the entities to which an entity refers by their
// ids. A name of no entity, or of the entity itself, stays as it is: the tracker
// reports it.
func resolve(g *lineage.Graph, own string, flags []thingFlag, members map[string]any) error {
	for _, t := range flags {
		one := func(name string) (string, error) {
			if _, ok := g.Node(name); ok || name == own {
				return name, nil
			}
			n, err := g.FindOne(name, t.Refers...)
			var wrong *lineage.NameError
			switch {
			case err == nil:
				return n.ID, nil
			case errors.As(err, &wrong) && !wrong.Many && len(wrong.Ids) == 0:
				return name, nil
			}
			return "", fmt.Errorf("read --%s: %w", t.name, err)
		}
		switch v := members[t.Name].(type) {
		case string:
			if t.Type != lineage.TypeID {
				continue
			}
			id, err := one(v)
			if err != nil {
				return err
			}
			members[t.Name] = id
		case []string:
			ids := make([]string, len(v))
			for i, name := range v {
				var err error
				if ids[i], err = one(name); err != nil {
					return err
				}
			}
			members[t.Name] = ids
		}
	}
	return nil
}

func (e *env) lineageRetireCmd() *cobra.Command {
	var at, reason string
	var attributes []string
	cmd := &cobra.Command{
		Use:   "retire MODEL|DEPLOYMENT",
		Short: "Retire a model version with its deployments, or one deployment",
		Long: `Retire registers that a model version with its deployments, or one deployment,
stops answering calls, now or at the time of --at. A retired model version
cannot be deployed again.` +
			exits(ends0, failsToRegister, ends2, ends4),
		Example: `  audittrail lineage retire bot@3 --reason "replaced by bot@4"
  audittrail lineage retire prod-7 --at 2026-11-20`,
		Args: takes("MODEL|DEPLOYMENT"),
	}
	f := cmd.Flags()
	f.StringVar(&at, "at", "", "`time` of the retirement: RFC 3339, a date, or how long ago (default now)")
	f.StringVar(&reason, "reason", "", "why (`text`)")
	f.StringArrayVar(&attributes, "attribute", nil, "attribute for which there is no flag, `KEY=VALUE`: JSON, or else text; may be repeated")
	e.writerFlags(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		r := lineage.Retirement{Entity: args[0], Reason: reason}
		var err error
		if r.At, err = parseWhen("at", at, e.now(), time.UTC); err == nil && len(attributes) > 0 {
			r.Attributes, err = values(f, "attribute")
		}
		if err == nil {
			err = e.retire(r)
		}
		if err != nil {
			return fmt.Errorf("lineage retire: %w", err)
		}
		return nil
	}
	return cmd
}

func (e *env) retire(r lineage.Retirement) error {
	return e.lineageWriting(e.openToWrite, func(t *lineage.Tracker) error {
		g, err := t.Graph(e.ctx)
		if err != nil {
			return err
		}
		if _, ok := g.Node(r.Entity); !ok {
			n, err := g.FindOne(r.Entity, lineage.KindModel, lineage.KindDeployment)
			if err != nil {
				return err
			}
			r.Entity = n.ID
		}
		done, err := t.RetireModel(e.ctx, r)
		if err != nil {
			return err
		}
		return e.registered(done)
	})
}
