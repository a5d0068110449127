package report

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"audittrail/event"
	"audittrail/query"
	"audittrail/record"
	"audittrail/report/document"
)

// maxEvaluations is how many of the newest evaluations are opened for their
// scores.
const maxEvaluations = 10_000

// maxScores is how many evaluations are drawn: more lines cannot be told apart.
const maxScores = 6

// evaluations shows what evaluations came to over time.
func (m *maker) evaluations(s *document.Section) error {
	q := m.base(event.Evaluation)
	whole, err := m.group("first and last evaluation", q, nil, "min(time)", "max(time)")
	if err != nil {
		return err
	}
	figure(s, "evaluations", "Evaluations", document.CountOf(whole.n(0, 0)), "", whole.source)
	x := m.axisOf(whole.rows[0][1], whole.rows[0][2])
	t, err := m.group("evaluations by "+x.span, q, []string{x.span, "category", "model_id", "model_version", "outcome"})
	if err != nil {
		return err
	}
	q.Limit = maxEvaluations
	list, source, err := m.find("the newest evaluations", q)
	if err != nil {
		return err
	}
	scores := scoresOf(list, x)
	m.evaluationTable(s, t, scores, source)
	if len(x.labels) == 0 {
		return nil
	}
	if c, ok := scoreChart(x, scores); ok {
		c.ID, c.Sources = s.ID+".scores", []string{source}
		s.Charts = append(s.Charts, c)
		return nil
	}
	c := m.outcomeChart(x, t)
	c.ID, c.Sources = s.ID+".evaluations_by_outcome", []string{t.source}
	s.Charts = append(s.Charts, c)
	return nil
}

// A measure is an evaluation of a version of a model.
type measure struct{ name, model, version string }

func (a measure) compare(b measure) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.model, b.model), cmp.Compare(a.version, b.version))
}

func (a measure) String() string {
	return strings.Join(strings.Fields(a.name+" "+a.model+" "+a.version), " ")
}

// A scored is the scores of one span.
type scored struct {
	sum float64
	n   int
}

func (s scored) mean() float64 { return s.sum / float64(s.n) }

// scoresOf are the scores that evaluations carry as a sealed detail, by what is
// evaluated and the span.
func scoresOf(list []*record.Record, x *axis) map[measure]map[string]scored {
	all := make(map[measure]map[string]scored)
	for _, r := range list {
		var number json.Number
		if !member(r.Event.Metadata, "score", &number) {
			continue
		}
		score, err := number.Float64()
		at := query.TimeBuckets(x.span, r.Event.Time, r.Event.Time, nil, 1)
		if err != nil || len(at) == 0 {
			continue
		}
		of, label := measure{r.Event.Category, r.Event.ModelID, r.Event.ModelVersion}, at[0].String()
		if all[of] == nil {
			all[of] = make(map[string]scored)
		}
		s := all[of][label]
		all[of][label] = scored{s.sum + score, s.n + 1}
	}
	return all
}

// evaluationTable has a row for each evaluation in each span, the newest first.
func (m *maker) evaluationTable(s *document.Section, t *table, scores map[measure]map[string]scored, source string) {
	type key struct {
		span string
		measure
	}
	at := make(map[key]int)
	var rows [][]document.Value
	for i, r := range t.rows {
		k := key{r[0].String(), measure{r[1].String(), r[2].String(), r[3].String()}}
		n, ok := at[k]
		if !ok {
			n = len(rows)
			at[k] = n
			score := document.Value{}
			if s, ok := scores[k.measure][k.span]; ok {
				score = document.TextOf(strconv.FormatFloat(math.Round(s.mean()*1e4)/1e4, 'f', -1, 64))
			}
			rows = append(rows, []document.Value{document.TextOf(k.span), textValue(r[1]), textValue(r[2]), textValue(r[3]), document.CountOf(0), {}, score})
		}
		rows[n][4].N += t.n(i, 0)
		if outcome := r[4].String(); outcome != "" {
			rows[n][5].Kind = document.Count
			if outcome != event.OutcomeSuccess {
				rows[n][5].N += t.n(i, 0)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b []document.Value) int { return strings.Compare(b[0].Text, a[0].Text) })
	add(s, "evaluations_over_time", "Evaluations over time", columns("when", "evaluation", "model", "version", "evaluations+", "not passed+", "mean score+"), rows,
		"Not passed: of those that say their outcome. The score is the sealed detail score, of the newest 10,000 that can be read.", t.source, source)
}

// scoreChart draws the mean scores, if all are between 0 and 1.
func scoreChart(x *axis, scores map[measure]map[string]scored) (document.Chart, bool) {
	c := document.Chart{Title: x.title("Mean scores of evaluations"), Kind: document.Lines, Labels: x.labels}
	for _, of := range slices.SortedFunc(maps.Keys(scores), measure.compare) {
		if len(c.Series) == maxScores {
			c.Title += ", the first " + strconv.Itoa(maxScores)
			break
		}
		line := document.Series{Name: cmp.Or(of.String(), "evaluation"), Values: make([]document.Value, len(x.labels))}
		for label, s := range scores[of] {
			mean := s.mean()
			if mean < 0 || mean > 1 {
				return c, false
			}
			if at, ok := x.at[label]; ok {
				line.Values[at] = document.Value{Kind: document.Share, N: int64(mean*1e6 + 0.5)}
			}
		}
		c.Series = append(c.Series, line)
	}
	return c, len(c.Series) > 0
}

// outcomeChart draws what evaluations came to.
func (m *maker) outcomeChart(x *axis, t *table) document.Chart {
	passed, not, unsaid := m.zeros(x), m.zeros(x), m.zeros(x)
	for i, r := range t.rows {
		series := not
		switch r[4].String() {
		case event.OutcomeSuccess:
			series = passed
		case "":
			series = unsaid
		}
		if at, ok := x.place(r[0], t.n(i, 0)); ok {
			addTo(series, at, t.n(i, 0))
		}
	}
	return document.Chart{Title: x.title("Evaluations"), Kind: document.Stack, Labels: x.labels, Series: []document.Series{
		{Name: "passed", Tone: document.Good, Values: passed}, {Name: "not passed", Tone: document.Bad, Values: not}, {Name: "outcome not said", Values: unsaid},
	}}
}
