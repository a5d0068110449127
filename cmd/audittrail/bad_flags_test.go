package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

const (
	empty   = ": the value is empty; leave the flag out, or give a value"
	noTime  = ": use 2026-11-02T15:04:05Z, 2026-11-02, yesterday, or how long ago, such as 7d"
	noRange = ": use 10..20, 10.. or ..20"
	noClass = ": use a class, such as standard, or a class and a month, such as standard/2026-11"
	noTrace = ": use 32 lower-case hexadecimal digits"
	noBool  = ": use true or false; 'audittrail COMMAND --help' lists the flags"
)

// badSelections are what query, export and tail refuse alike. The error of each
// begins with the command's name.
var badSelections = map[string]string{
	"--type=":                            "read --type" + empty,
	"--type=promt":                       `type: unknown event type "promt": use prompt, response, tool_call, tool_result, retrieval, embedding, guardrail, evaluation, feedback, human_review, decision, safety_incident, error, or x.NAME`,
	"--model=":                           "read --model" + empty,
	"--model=gpt-4 --model=":             "read --model" + empty,
	"--model=a\xff":                      "model_id: a value is not UTF-8",
	"--model-version=":                   "read --model-version" + empty,
	"--provider=":                        "read --provider" + empty,
	"--deployment=":                      "read --deployment" + empty,
	"--user=":                            "read --user" + empty,
	"--user=ann --user=":                 "read --user" + empty,
	"--user=" + strings.Repeat("a", 2e3): "user_id: a value of 2000 bytes; use at most 1024",
	"--subject=":                         "read --subject" + empty,
	"--subject=00":                       "read --subject: subject of 2 characters is not 32 lower-case hexadecimal digits",
	"--session=":                         "read --session" + empty,
	"--trace=":                           "read --trace" + empty,
	"--trace=xyz":                        `trace_id: invalid trace id "xyz"` + noTrace,
	"--trace=0123456789ABCDEF0123456789ABCDEF": `trace_id: invalid trace id "0123456789ABCDEF0123456789ABCDEF"` + noTrace,
	"--producer=":              "read --producer" + empty,
	"--outcome=":               "read --outcome" + empty,
	"--outcome=fine":           `outcome: "fine" is none of success, error, partial, blocked, refused, timeout, cancelled`,
	"--severity=":              "read --severity" + empty,
	"--severity=dire":          `severity: "dire" is none of info, low, medium, high, critical`,
	"--category=":              "read --category" + empty,
	"--tool=":                  "read --tool" + empty,
	"--class=":                 "read --class" + empty,
	"--class=No/2026-11":       `class: invalid retention class "No/2026-11"` + noClass,
	"--class=standard/2026-13": `class: invalid retention class "standard/2026-13"` + noClass,
	"--class=standard --class=standard/2026-1": `class: invalid retention class "standard/2026-1"` + noClass,
	"--class=short --class=standard/2026-11":   "class: some classes name a month and some do not; write all of them in one of the two forms",
	"--label=":                                 "read --label" + empty,
	"--label=team":                             `read --label: invalid label "team": use KEY=VALUE`,
	"--label==x":                               `read --label: invalid label "=x": use KEY=VALUE`,
	"--label=a=1 --label=a=2":                  "read --label: two values are given for a, and no record has both; give one",
	"--start=":                                 "read --start" + empty,
	"--start=2026-13-01":                       `read --start: invalid time "2026-13-01"` + noTime,
	"--start=-1d":                              `read --start: invalid time "-1d"` + noTime,
	"--start=99999999d":                        `read --start: invalid time "99999999d"` + noTime,
	"--end=":                                   "read --end" + empty,
	"--end=soon":                               `read --end: invalid time "soon"` + noTime,
	"--start=2026-11-03 --end=2026-11-03":      "end: 2026-11-03T00:00:00Z is not after the start, 2026-11-03T00:00:00Z",
	"--actor=":                                 "read --actor" + empty,
	"--source=":                                "read --source" + empty,
	"--source=apps":                            `source: "apps" is none of app, telemetry, gateway, mcp, import, log`,
	"--zone=":                                  "read --zone" + empty,
	"--zone=Nowhere":                           `read --zone: unknown time zone "Nowhere": use a name such as Europe/Berlin, UTC or local`,
	"--input-tokens=":                          "read --input-tokens" + empty,
	"--input-tokens=1.5":                       `read --input-tokens: invalid range "1.5"` + noRange,
	"--input-tokens=5..1":                      "input_tokens: the least, 5, is more than the most, 1",
	"--output-tokens=..":                       `read --output-tokens: invalid range ".."` + noRange,
	"--cached-tokens=1..2..3":                  `read --cached-tokens: invalid range "1..2..3"` + noRange,
	"--reasoning-tokens=9007199254740993":      `read --reasoning-tokens: invalid range "9007199254740993"` + noRange,
	"--latency-ms=NaN":                         `read --latency-ms: invalid range "NaN"` + noRange,
	"--latency-ms=1e400":                       `read --latency-ms: invalid range "1e400"` + noRange,
	"--cost=x..":                               `read --cost: invalid range "x.."` + noRange,
	"--text=":                                  "read --text" + empty,
	"--text=(":                                 "text: at byte 1: a term is missing at the end",
	"--text=-":                                 "text: at byte 0: a minus sign or NOT with nothing after it",
	"--text=" + strings.Repeat("a", 20_000):    "text: at byte 16384: 20000 bytes; use at most 16384",
	"--filter=":                                "read --filter" + empty,
	"--filter=size":                            "filter: the expression gives int, not true or false; compare it with a value",
	"--filter=prompt==1":                       `filter: at line 1, column 1: unknown cleartext field "prompt"; the fields are: `,
	"--filter=" + strings.Repeat("a", 5_000):   "filter: 5000 bytes; use at most 4096",
}

// badFlags are what each command refuses besides. COMMAND stands for its name.
var badFlags = map[string]map[string]string{
	"query": {
		"--limit=x":                             `read --limit: invalid value "x": use a whole number that is not too large; 'audittrail COMMAND --help' lists the flags`,
		"--limit=99999999999999999999":          `read --limit: invalid value "99999999999999999999": use a whole number that is not too large; 'audittrail COMMAND --help' lists the flags`,
		"--limit=-1":                            "query: read --limit: invalid limit -1: use 1 or more, or 0 for all",
		"--oldest-first=maybe":                  `read --oldest-first: invalid value "maybe"` + noBool,
		"--count-only=2":                        `read --count-only: invalid value "2"` + noBool,
		"--no-pager=x":                          `read --no-pager: invalid value "x"` + noBool,
		"--skip-altered=x":                      `read --skip-altered: invalid value "x"` + noBool,
		"--require-complete=x":                  `read --require-complete: invalid value "x"` + noBool,
		"--explain=x":                           `read --explain: invalid value "x"` + noBool,
		"--calls=x":                             `read --calls: invalid value "x"` + noBool,
		"--count-only --group-by=type":          "query: --count-only and --group-by are both given: use one of them; --agg count counts each group",
		"--count-only --limit=5":                "query: --limit and --oldest-first are not valid with --count-only or --group-by: leave them out",
		"--group-by=type --oldest-first":        "query: --limit and --oldest-first are not valid with --count-only or --group-by: leave them out",
		"--group-by=":                           "query: read --group-by" + empty,
		"--group-by=prompt":                     `query: group by: unknown cleartext field "prompt"; the fields are: `,
		"--group-by=model_id,":                  `query: group by: unknown cleartext field ""; the fields are: `,
		"--group-by=label:":                     "query: group by: label: the key is missing; write label:KEY",
		"--agg=":                                "query: read --agg" + empty,
		"--agg=median(cost)":                    `query: aggregate: "median" is none of count, sum, avg, min, max, p50, p95, p99, distinct`,
		"--agg=sum(":                            `query: aggregate: "sum(" is not of the form sum(input_tokens)`,
		"--agg=sum":                             "query: aggregate: sum of which field? Write sum(input_tokens), for example",
		"--agg=sum(model_id)":                   "query: aggregate: model_id is not a number; use count(model_id) or distinct(model_id)",
		"--agg=" + strings.Repeat("count,", 33): "query: aggregate: 34 aggregates; use at most 32",
		"-o=xml":                                `read -o: unknown form "xml": use table, json, jsonl or csv`,
	},
	"export": {
		"--calls=x":            `read --calls: invalid value "x"` + noBool,
		"--format=":            "export: read --format" + empty,
		"--format=xml":         `export: read --format: unknown form "xml": use jsonl, csv or parquet`,
		"--out=":               "export: read --out" + empty,
		"--out=.":              "export: write .: the file exists already; name a new one",
		"--metadata-only=x":    `read --metadata-only: invalid value "x"` + noBool,
		"--skip-altered=x":     `read --skip-altered: invalid value "x"` + noBool,
		"--require-complete=x": `read --require-complete: invalid value "x"` + noBool,
		"--newest-first=x":     `read --newest-first: invalid value "x"` + noBool,
		"--limit=x":            `read --limit: invalid value "x": use a whole number that is not too large; 'audittrail COMMAND --help' lists the flags`,
		"--limit=-1":           "export: read --limit: invalid limit -1: use 1 or more, or 0 for all",
		"-o=csv":               "export: read -o: not valid for files; give the form of the file with --format",
		"--out=no/where.jsonl": "export: write no/where.jsonl: the folder no does not exist; create it first",
	},
	"tail": {
		"--lines=-1":                  `read --lines: invalid value "-1": use a whole number from 0 on that is not too large; 'audittrail COMMAND --help' lists the flags`,
		"--lines=x":                   `read --lines: invalid value "x": use a whole number from 0 on that is not too large; 'audittrail COMMAND --help' lists the flags`,
		"--skip-altered=x":            `read --skip-altered: invalid value "x"` + noBool,
		"--require-complete=x":        `read --require-complete: invalid value "x"` + noBool,
		"--follow --require-complete": "tail: --require-complete is not valid with --follow, which never completes; leave one of them out",
		"--follow=x":                  `read --follow: invalid value "x"` + noBool,
	},
}

// TestBadFlags gives every flag of query, export and tail an invalid value. An
// expected error that ends in ": " or "-" is only the beginning of the error,
// before a list or a generated name.
func TestBadFlags(t *testing.T) {
	dir := aLog(t, 3, func(int) string { return "words" })
	for command, own := range badFlags {
		all := map[string]string{
			"extra":     "audittrail COMMAND takes no argument: 1 was given; see 'audittrail COMMAND --help'",
			"--unheard": "unknown flag: --unheard; 'audittrail COMMAND --help' lists the flags",
		}
		for args, problem := range badSelections {
			if strings.HasPrefix(problem, "read ") {
				all[args] = command + ": " + problem
			} else {
				all[args] = "query: " + problem
				if command != "query" {
					all[args] = command + ": query: " + problem
				}
			}
		}
		maps.Copy(all, own)
		for args, problem := range all {
			e, stdout, stderr := newEnv(t, append([]string{"--dir", dir, command}, strings.Split(args, " ")...)...)
			want := "audittrail: " + strings.ReplaceAll(problem, "COMMAND", command)
			if status := e.run(); status != exitFailed {
				t.Errorf("%s %.60s: exit status %d, want %d", command, args, status, exitFailed)
			}
			got := strings.TrimSuffix(stderr.String(), "\n")
			open := strings.HasSuffix(want, ": ") || strings.HasSuffix(want, "-")
			if got != want && !(open && strings.HasPrefix(got, want)) || strings.Contains(got, "\n") || stdout.Len() > 0 {
				t.Errorf("%s %.60s: %s, want %s", command, args, got, want)
			}
		}
		e, _, _ := newEnv(t)
		cmd, _, err := e.rootCmd().Find([]string{command})
		if err != nil {
			t.Fatal(err)
		}
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			tried := slices.ContainsFunc(slices.Collect(maps.Keys(all)), func(args string) bool { return strings.HasPrefix(args, "--"+f.Name+"=") })
			if !tried && f.Name != "help" {
				t.Errorf("%s --%s is given nothing bad", command, f.Name)
			}
		})
	}
}
