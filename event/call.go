package event

// A CallPart says what an event is of a call, which is one request to a model
// and its answer.
type CallPart uint8

// What an event can be of a call. Every call is counted by one event: by its
// answer, or by the one that has both halves, or else by the error in its place.
// See [Call] for the one definition, and query.Query.Calls for how halves that
// are events of their own are joined.
const (
	// NoCall is an event that is no part of a call.
	NoCall CallPart = iota
	// CallRequest is a question whose answer, if there is one, is another event.
	CallRequest
	// CallComplete is a question that carries its answer. It is a call, unless its
	// answer is an event of its own in the same span.
	CallComplete
	// CallResponse is an answer. It is a call.
	CallResponse
	// CallFailed is an error in the place of an answer. It is a call, unless its
	// span has another half of the call, or is that of a tool.
	CallFailed
	// CallUnknown is a question of which it is not known whether it carries its
	// answer.
	CallUnknown
)

// Call returns what an event is of a call, by its cleartext fields and the parts
// that it has, which need not be known:
//
//   - a prompt that carries its answer is a whole call: it has a response or
//     output messages, or output tokens, a latency or a finish reason;
//   - a prompt without any of these is a call begun;
//   - a response or an embedding is an answer;
//   - an error that names a model, and no tool, is a call that failed.
//
// All other events are no part of a call.
func Call(e *Event, parts Parts, known bool) CallPart {
	switch e.Type {
	case Prompt:
		switch {
		case known && parts.Has(PartResponse|PartOutput), e.OutputTokens != nil, e.Latency != nil, e.FinishReason != "":
			return CallComplete
		case known:
			return CallRequest
		}
		return CallUnknown
	case Response, Embedding:
		return CallResponse
	case Failure:
		if e.ModelID != "" && (e.Tool == nil || e.Tool.Name == "") {
			return CallFailed
		}
	}
	return NoCall
}

// OfTool reports whether events of the type tell of a tool, so that an error in
// their span is the tool's and no call.
func (t Type) OfTool() bool { return t == ToolCall || t == ToolResult || t == Retrieval }
