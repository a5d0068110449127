package report

// gaps are what the log does not evidence, whatever is in it.
var gaps = map[string][]string{
	"scope": {
		"Systems that never sent an event.",
		"That an event is true: the log keeps what producers said.",
	},
	"integrity": {
		"That the log began with everything it should hold: proof covers what was recorded, from the first record on.",
		"That nobody replaced log and keyring together, unless a checkpoint or verifier key kept elsewhere says so.",
		"That witnesses have seen more than the checkpoint that was given to this report.",
	},
	"completeness": {
		"Events of producers that do not number them, and those after a producer's last number.",
		"Why a call has no answer: the program may have ended, or the answer may be in another log.",
	},
	"retention": {
		"Which laws apply to these records; floors are data with their sources.",
		"Copies outside the log and its archives.",
	},
	"inventory": {
		"Models that neither registered nor sent an event.",
		"That a model is what its name says: names are the producers'.",
	},
	"lineage": {
		"Data, runs and versions that nobody registered.",
		"That what was registered is true.",
		"Whether a file is the one whose digest was registered: 'audittrail lineage verify-artifact' tells.",
	},
	"usage": {
		"Calls that no application submitted.",
		"Whether an answer was right, or of use.",
	},
	"oversight": {
		"Reviews that were not recorded.",
		"Whether a reviewer was competent, independent, and free to decide otherwise.",
	},
	"safety": {
		"Harm that no guardrail, model or person noticed.",
		"Whether what was blocked deserved it.",
	},
	"incidents": {
		"Whether an incident is serious in the meaning of a law: its producer says so with the label serious_incident, or nobody does.",
		"The reports that an authority received: a report counts as made when an event says so.",
	},
	"privacy": {
		"Requests that never reached the log, and personal data outside it.",
		"Disclosures before an erasure.",
	},
	"access": {
		"Use of the files themselves: access control does not apply to a person with the files and the master key.",
		"Use of content by its readers, after they had read it.",
	},
	"case": {
		"Statements and actions of which no event was submitted.",
		"Whether the statements are true, and whether the people named acted themselves.",
		"Content that was erased, has expired or is restricted, and records that have left the log.",
	},
	"controls": {
		"Whether anybody complies with a rule: most of what rules ask for happens outside a log.",
		"Rules that were not selected, and amendments after the day that each rule file names.",
	},
}
