package event

// A CallPart says which part of a call an event is. A call is one request to a
// model and its answer.
type CallPart uint8

// The parts of a call that an event can be. Every call is counted by one event:
// its answer, the event that has both halves, or else the error instead of an
// answer. [Call] is the definition; query.Query.Calls joins halves that are
// separate events.
const (
	// NoCall is an event that does not belong to a call.
	NoCall CallPart = iota
	// CallRequest is a request whose answer, if there is one, is another event.
	CallRequest
	// CallComplete is a request that contains its answer. It counts as a call,
	// unless the same span has a separate event with the answer.
	CallComplete
	// CallResponse is an answer. It counts as a call.
	CallResponse
	// CallFailed is an error instead of an answer. It counts as a call, unless
	// its span has another event of the call, or is that of a tool.
	CallFailed
	// CallUnknown is a request of which it is not known whether it contains its
	// answer.
	CallUnknown
)

// Call returns which part of a call an event is, by its cleartext fields and
// the encrypted parts that it has, which need not be known:
//
//   - a prompt that contains its answer is a complete call: it has a response or
//     output messages, or output tokens, a latency or a finish reason;
//   - a prompt without any of these is a request;
//   - a response or an embedding is an answer;
//   - an error that names a model, and no tool, is a call that failed.
//
// All other events do not belong to a call.
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

// OfTool reports whether events of the type are about a tool, so that an error
// in their span is the tool's and does not count as a call.
func (t Type) OfTool() bool { return t == ToolCall || t == ToolResult || t == Retrieval }
