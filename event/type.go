package event

import "slices"

// A Type says what kind of thing happened.
type Type string

// The types that callers append. Others are custom: "x." and a name of their
// own, of 1 to 63 lower-case letters, digits, dots, hyphens and underscores
// that begins with a letter or digit.
const (
	Prompt         Type = "prompt"
	Response       Type = "response"
	ToolCall       Type = "tool_call"
	ToolResult     Type = "tool_result"
	Retrieval      Type = "retrieval"
	Embedding      Type = "embedding"
	Guardrail      Type = "guardrail"
	Evaluation     Type = "evaluation"
	Feedback       Type = "feedback"
	HumanReview    Type = "human_review"
	Decision       Type = "decision"
	SafetyIncident Type = "safety_incident"
	Failure        Type = "error"
)

// The types of what the log records about itself.
const (
	SignerRotated Type = "signer_rotated"
	LogRepaired   Type = "log_repaired"
	KeysBackedUp  Type = "keys_backed_up"
	MasterRotated Type = "master_rotated"
)

// Types returns the types that callers append, without the custom ones.
func Types() []Type {
	return []Type{
		Prompt, Response, ToolCall, ToolResult, Retrieval, Embedding, Guardrail,
		Evaluation, Feedback, HumanReview, Decision, SafetyIncident, Failure,
	}
}

// Administrative reports whether only the log itself writes such events.
func (t Type) Administrative() bool {
	switch t {
	case SignerRotated, LogRepaired, KeysBackedUp, MasterRotated:
		return true
	}
	return false
}

// Valid reports whether t is one of the types above or a custom one.
func (t Type) Valid() bool {
	switch t {
	case Prompt, Response, ToolCall, ToolResult, Retrieval, Embedding, Guardrail,
		Evaluation, Feedback, HumanReview, Decision, SafetyIncident, Failure:
		return true
	}
	return t.custom() || t.Administrative()
}

const customPrefix = "x."

func (t Type) custom() bool {
	if len(t) <= len(customPrefix) || t[:len(customPrefix)] != customPrefix {
		return false
	}
	return isName(string(t[len(customPrefix):]), 63, ".-_")
}

// isName reports whether s has 1 to limit bytes, each a lower-case letter, a
// digit or, after the first, one of extra.
func isName(s string, limit int, extra string) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && slices.Contains([]byte(extra), c):
		default:
			return false
		}
	}
	return true
}
