package event

import "slices"

// A Type says what kind of thing happened.
type Type string

// The types that callers append. Others are custom: "x." and a name of 1 to 63
// lower-case letters, digits, dots, hyphens and underscores that begins with a
// letter or digit.
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

// The types that only the log's own package records, when it changes the log.
// They are governance records.
const (
	SignerRotated    Type = "signer_rotated"
	LogRepaired      Type = "log_repaired"
	KeysBackedUp     Type = "keys_backed_up"
	MasterRotated    Type = "master_rotated"
	SubjectErased    Type = "subject_erased"
	ClassExpired     Type = "class_expired"
	HoldPlaced       Type = "hold_placed"
	HoldReleased     Type = "hold_released"
	SegmentsArchived Type = "segments_archived"
	SegmentsDropped  Type = "segments_dropped"
	LogRebuilt       Type = "log_rebuilt"
)

// The types of governance records that features append: access, retention,
// lineage and others.
const (
	AccessGranted          Type = "access_granted"
	AccessRevoked          Type = "access_revoked"
	RetentionPolicySet     Type = "retention_policy_set"
	SubjectRestricted      Type = "subject_restricted"
	RestrictionLifted      Type = "restriction_lifted"
	ErasureApproved        Type = "erasure_approved"
	DatasetRegistered      Type = "dataset_registered"
	TrainingRunRegistered  Type = "training_run_registered"
	ModelVersionRegistered Type = "model_version_registered"
	ModelDeployed          Type = "model_deployed"
	ModelRetired           Type = "model_retired"
	PromptRegistered       Type = "prompt_registered"
	EvaluationRegistered   Type = "evaluation_registered"
)

// The types of the access log: records of what was read and exported, which do
// not govern the log.
const (
	AccessDenied          Type = "access_denied"
	ContentRead           Type = "content_read"
	DataExported          Type = "data_exported"
	ReportMade            Type = "report_made"
	SubjectAccessAnswered Type = "subject_access_answered"
)

// Types returns the types that callers append, without the custom ones.
func Types() []Type {
	return []Type{
		Prompt, Response, ToolCall, ToolResult, Retrieval, Embedding, Guardrail,
		Evaluation, Feedback, HumanReview, Decision, SafetyIncident, Failure,
	}
}

// Internal reports whether only the log's own package records such events.
func (t Type) Internal() bool {
	switch t {
	case SignerRotated, LogRepaired, KeysBackedUp, MasterRotated, SubjectErased, ClassExpired,
		HoldPlaced, HoldReleased, SegmentsArchived, SegmentsDropped, LogRebuilt:
		return true
	}
	return false
}

// Governance reports whether such events govern the log. Segments list their
// places, so that they are found without reading all records.
func (t Type) Governance() bool {
	switch t {
	case AccessGranted, AccessRevoked, RetentionPolicySet, SubjectRestricted, RestrictionLifted, ErasureApproved,
		DatasetRegistered, TrainingRunRegistered, ModelVersionRegistered, ModelDeployed, ModelRetired,
		PromptRegistered, EvaluationRegistered:
		return true
	}
	return t.Internal()
}

// AccessLog reports whether such events record what was done with the log.
func (t Type) AccessLog() bool {
	switch t {
	case AccessDenied, ContentRead, DataExported, ReportMade, SubjectAccessAnswered:
		return true
	}
	return false
}

// Reserved reports whether such events are governance records or of the access
// log, which producers cannot append, as they could forge them.
func (t Type) Reserved() bool { return t.Governance() || t.AccessLog() }

// Valid reports whether t is one of the types above or a custom one.
func (t Type) Valid() bool {
	switch t {
	case Prompt, Response, ToolCall, ToolResult, Retrieval, Embedding, Guardrail,
		Evaluation, Feedback, HumanReview, Decision, SafetyIncident, Failure:
		return true
	}
	return t.custom() || t.Reserved()
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
