package loadgen

import (
	"math/rand/v2"
	"strings"

	"audittrail/event"
)

// A Mark is a text that is in one of every Every events.
type Mark struct {
	Word  string
	Every int

	at   int // remainder, divided by Every, of the numbers of its events
	ends []string
}

// In returns how many of the first n events contain it.
func (m *Mark) In(n int) int { return (n - m.at + m.Every - 1) / m.Every }

func (m *Mark) text(i int) string {
	if m.ends == nil {
		return m.Word
	}
	return m.Word + m.ends[i/m.Every%len(m.ends)]
}

// The planted texts. No other word of the events is one of these, or begins
// with Stem.
var (
	Rare   = &Mark{Word: "tamarackfjord", Every: 10_000, at: 77}
	Phrase = &Mark{Word: "amber harbor protocol", Every: 5000, at: 123}
	Stem   = &Mark{Word: "quire", Every: 3000, at: 31, ends: []string{"book", "mill", "", "ling", "stone", "ward"}}

	marks = []*Mark{
		Rare, Phrase, Stem,
		// The words of the phrase are also in events without the phrase.
		{Word: "amber", Every: 500, at: 9},
		{Word: "harbor", Every: 400, at: 11},
		{Word: "protocol amber", Every: 2500, at: 18},
	}
)

// common is the rank of the word that Generator.Common returns.
const common = 4

// Model is the id of one of Models models.
const (
	Model  = "atlas-mini"
	Models = 19
)

// Common returns a word that most events have.
func (c *Generator) Common() string { return c.words[common] }

const (
	vocabularyWords = 20_000
	rankTable       = 1 << 17
)

// zipf returns the ranks of words, each as often as it is used: the word of
// rank r in proportion to 1/(r+2).
func zipf() []uint16 {
	total := 0.0
	for r := range vocabularyWords {
		total += 1 / float64(r+2)
	}
	ranks := make([]uint16, 0, rankTable)
	sum := 0.0
	for r := range vocabularyWords {
		sum += 1 / float64(r+2)
		for float64(len(ranks)) < sum/total*rankTable && len(ranks) < rankTable {
			ranks = append(ranks, uint16(r))
		}
	}
	return ranks
}

// vocabulary returns words, mostly the shorter ones first.
func vocabulary(rng *rand.Rand) []string {
	words := make([]string, 0, vocabularyWords)
	known := map[string]bool{}
	for len(words) < vocabularyWords {
		w := word(rng, len(words))
		if !known[w] && !strings.HasPrefix(w, Stem.Word) {
			known[w] = true
			words = append(words, w)
		}
	}
	return words
}

var (
	onsets  = strings.Split("b c d f g h j k l m n p r s t v w z br ch cl dr fl gr pl pr sh st th tr", " ")
	nuclei  = strings.Split("a e i o u a e i o ai ea ou ie", " ")
	accents = strings.Split("é ü ñ ö à ç ê ø á ä", " ")
	codas   = strings.Split("  n r s t l m nd st ck ng", " ")
	others  = []rune("的一是不了人我在有他这中大来上国個説明時間計算機の東京都データ확인모델응답")
)

// word returns a word for a rank: of one syllable to four, or of some
// characters of another script.
func word(rng *rand.Rand, rank int) string {
	var b strings.Builder
	if rank > 50 && rng.IntN(100) == 0 {
		for range 2 + rng.IntN(3) {
			b.WriteRune(others[rng.IntN(len(others))])
		}
		return b.String()
	}
	syllables := 1
	switch {
	case rank >= 2000:
		syllables = 2 + rng.IntN(3)
	case rank >= 60:
		syllables = 2 + rng.IntN(2)
	}
	accented := rank > 50 && rng.IntN(30) == 0
	for n := range syllables {
		b.WriteString(onsets[rng.IntN(len(onsets))])
		if accented && n == 0 {
			b.WriteString(accents[rng.IntN(len(accents))])
		} else {
			b.WriteString(nuclei[rng.IntN(len(nuclei))])
		}
		if n == syllables-1 || rng.IntN(3) == 0 {
			b.WriteString(codas[rng.IntN(len(codas))])
		}
	}
	return b.String()
}

// A model has a price for each token, in billionths of a currency's unit.
type model struct {
	id, version, provider string
	input, output         int64
}

// The cleartext values. The first models and environments are the most
// frequent.
var (
	models = []model{
		{"atlas-large", "4.1", "northwind", 2500, 10_000},
		{"atlas-mini", "4.1", "northwind", 150, 600},
		{"sonata-3", "3.5", "brightwater", 3000, 15_000},
		{"sonata-3-fast", "3.5", "brightwater", 800, 4000},
		{"kestrel-70b", "3.3", "self-hosted", 400, 400},
		{"kestrel-8b", "3.3", "self-hosted", 50, 50},
		{"meridian-pro", "2.5", "tallgrass", 1250, 10_000},
		{"meridian-flash", "2.5", "tallgrass", 300, 2500},
		{"ostrich-large", "2411", "lagoon", 2000, 6000},
		{"ostrich-small", "2501", "lagoon", 100, 300},
		{"atlas-large", "4.0", "northwind", 2500, 10_000},
		{"atlas-reason", "1", "northwind", 15_000, 60_000},
		{"sonata-3-long", "3.7", "brightwater", 3000, 15_000},
		{"kestrel-405b", "3.1", "self-hosted", 1800, 1800},
		{"meridian-lite", "2.0", "tallgrass", 75, 300},
		{"ostrich-code", "2501", "lagoon", 300, 900},
		{"heron-embed", "3", "northwind", 20, 20},
		{"marlin-v3", "3.1", "deepcove", 270, 1100},
		{"marlin-r1", "1", "deepcove", 550, 2190},
		{"tern-2", "2.1", "deepcove", 2000, 10_000},
	}
	// Teams are the values of the label "team".
	Teams = []string{
		"support", "billing", "search", "legal", "claims", "onboarding",
		"research", "risk", "sales", "documents", "translation", "operations",
	}
	deployments  = []string{"prod-eu-1", "prod-eu-2", "prod-us-1", "prod-us-2", "prod-ap-1", "canary", "batch", "staging"}
	producers    = []string{"gateway-1", "gateway-2", "gateway-3", "gateway-4", "assistant", "worker-1", "worker-2", "worker-3"}
	environments = []string{"production", "staging", "test"}
	categories   = []string{"chat", "summary", "extraction", "translation", "code", "classification"}
	tools        = []string{"search_orders", "get_invoice", "lookup_customer", "run_report", "send_mail", "book_slot"}
	failures     = []string{event.OutcomeError, event.OutcomeTimeout, event.OutcomeRefused, event.OutcomeBlocked}
)
