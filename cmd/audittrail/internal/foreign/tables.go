package foreign

// The ways to read the value of a rule.
type how int

const (
	text   how = iota // a string, or a number as it is written
	said              // a string; anything else is left for another rule
	unsaid            // any JSON but a string
	count             // a whole number, which may be in a string
	amount            // a decimal number, which may be in a string; the original is kept as metadata, too
	when              // RFC 3339, without an offset UTC; or seconds or milliseconds since 1970
	value             // any JSON; a string with an object or an array is parsed
	since             // the time from the first member to the second, in milliseconds
	named             // a string, prefixed with the format's name: an id of that program
)

// A rule says from which member a field of the edge form is read: the first of
// from that exists. A path consists of the names of members, with dots; a number
// is an element of an array.
type rule struct {
	field string
	as    how
	from  []string
}

// A typeRule gives an event its type if a member has one of some values, or,
// without values, if the member exists. The first rule that matches counts.
type typeRule struct {
	member string
	values []string
	typ    string
	// outcome goes with the type, unless it is empty.
	outcome string
}

// A table defines how the lines of one program become events.
type table struct {
	name string   // of the --from flag
	what string   // its name in messages
	has  []string // the members by which a line is recognized; "a|b" is one of two
	// fixed are fields that all events of the table have.
	fixed map[string]string
	types []typeRule // the last rule always matches
	rules []rule
}

// invocations are the operations of Amazon Bedrock that call a model.
var invocations = []string{
	"InvokeModel", "InvokeModelWithResponseStream", "InvokeModelWithBidirectionalStream",
	"Converse", "ConverseStream", "StartAsyncInvoke", "CreateModelInvocationJob",
}

// tables are the formats that import accepts with --from.
// docs/tutorial-any-language.md shows them.
var tables = []*table{
	{
		name: "litellm", what: "LiteLLM's spend log",
		has: []string{"request_id", "call_type", "spend", "startTime"},
		types: []typeRule{
			{"status", []string{"failure"}, "error", "error"},
			{"call_type", []string{"embedding", "aembedding"}, "embedding", "success"},
			{"", nil, "response", "success"},
		},
		rules: []rule{
			{"id", named, []string{"request_id"}},
			{"time", when, []string{"startTime"}},
			{"latency_ms", since, []string{"startTime", "endTime"}},
			{"model_id", text, []string{"model", "model_group"}},
			{"provider", text, []string{"custom_llm_provider"}},
			{"deployment_id", text, []string{"model_id"}},
			{"user_id", text, []string{"end_user", "user"}},
			{"session_id", text, []string{"session_id"}},
			{"input_tokens", count, []string{"prompt_tokens"}},
			{"output_tokens", count, []string{"completion_tokens"}},
			{"cost", amount, []string{"spend"}},
			{"input_messages", value, []string{"messages"}},
			{"output_messages", value, []string{"response"}},
			{"error", text, []string{"metadata.error_information.error_message", "exception"}},
		},
	},
	{
		name: "openai-batch", what: "an OpenAI batch file",
		has:   []string{"custom_id", "body|response|error"},
		fixed: map[string]string{"provider": "openai"},
		types: []typeRule{
			{"error", nil, "error", "error"},
			{"response.body.error", nil, "error", "error"},
			{"response.body.data.0.object", []string{"embedding"}, "embedding", "success"},
			{"response", nil, "response", "success"},
			{"", nil, "prompt", ""},
		},
		rules: []rule{
			{"id", named, []string{"id"}},
			{"time", when, []string{"response.body.created", "response.body.created_at"}},
			{"model_id", text, []string{"response.body.model", "body.model"}},
			{"user_id", text, []string{"body.user", "body.safety_identifier", "response.body.user", "response.body.safety_identifier"}},
			{"prompt", said, []string{"body.prompt"}},
			{"system_instructions", said, []string{"body.instructions"}},
			{"input_messages", unsaid, []string{"body.prompt"}},
			{"input_messages", value, []string{"body.messages", "body.input"}},
			{"output_messages", value, []string{"response.body.choices", "response.body.output"}},
			{"finish_reason", text, []string{"response.body.choices.0.finish_reason", "response.body.status"}},
			{"input_tokens", count, []string{"response.body.usage.prompt_tokens", "response.body.usage.input_tokens"}},
			{"output_tokens", count, []string{"response.body.usage.completion_tokens", "response.body.usage.output_tokens"}},
			{"cached_tokens", count, []string{"response.body.usage.prompt_tokens_details.cached_tokens", "response.body.usage.input_tokens_details.cached_tokens"}},
			{"reasoning_tokens", count, []string{"response.body.usage.completion_tokens_details.reasoning_tokens", "response.body.usage.output_tokens_details.reasoning_tokens"}},
			{"error", text, []string{"error.message", "response.body.error.message"}},
		},
	},
	{
		name: "bedrock", what: "Amazon Bedrock's model invocation log",
		has:   []string{"schemaType|schemaVersion", "requestId", "modelId", "operation"},
		fixed: map[string]string{"provider": "aws.bedrock"},
		types: []typeRule{
			{"errorCode", nil, "error", "error"},
			{"output.outputBodyJson.embedding", nil, "embedding", "success"},
			{"output.outputBodyJson.embeddings", nil, "embedding", "success"},
			{"", nil, "response", "success"},
		},
		rules: []rule{
			{"id", named, []string{"requestId"}},
			{"time", when, []string{"timestamp"}},
			{"latency_ms", amount, []string{"output.outputBodyJson.metrics.latencyMs"}},
			{"model_id", text, []string{"modelId"}},
			{"user_id", text, []string{"identity.arn"}},
			{"input_messages", value, []string{"input.inputBodyJson"}},
			{"output_messages", value, []string{"output.outputBodyJson"}},
			{"finish_reason", text, []string{"output.outputBodyJson.stop_reason", "output.outputBodyJson.stopReason"}},
			{"input_tokens", count, []string{"input.inputTokenCount"}},
			{"cached_tokens", count, []string{"input.cacheReadInputTokenCount"}},
			{"output_tokens", count, []string{"output.outputTokenCount"}},
			{"error", text, []string{"errorMessage", "errorCode"}},
		},
	},
	{
		name: "cloudtrail", what: "AWS CloudTrail",
		has: []string{"eventVersion", "eventSource", "eventName", "eventTime"},
		types: []typeRule{
			{"errorCode", nil, "error", "error"},
			{"eventName", invocations, "response", "success"},
			{"", nil, "x.aws_api_call", "success"},
		},
		rules: []rule{
			{"id", named, []string{"eventID"}},
			{"time", when, []string{"eventTime"}},
			{"model_id", text, []string{"requestParameters.modelId"}},
			{"provider", text, []string{"eventSource"}},
			{"category", text, []string{"eventName"}},
			{"user_id", text, []string{"userIdentity.arn", "userIdentity.userName", "userIdentity.principalId", "userIdentity.invokedBy"}},
			{"error", text, []string{"errorMessage", "errorCode"}},
		},
	},
}

// A kind is a kind of lines that import recognizes and refuses.
type kind struct {
	what string
	do   string
	has  []string
	only bool // the line has no other members than has and may
	may  []string
}

const laterTraces = "trace exports cannot be imported yet: let the application log its calls, or export them as events (audittrail help import)"

// recordLine is a line as stored in a log. Lines of a plain hash-chained logger
// have some of its members, and never all.
var recordLine = kind{
	what: "a line of a log's own file, whose content is encrypted", do: "export that log, and import the resulting file: audittrail export --dir LOG --out FILE",
	has: []string{"v", "seq", "logged", "subject", "class", "body", "prev", "hash"},
}

var kinds = []kind{
	recordLine,
	{what: "an OTLP export of traces or logs", do: laterTraces, has: []string{"resourceSpans|resourceLogs|resourceMetrics|resource_spans|resource_logs"}},
	{what: "a trace export of Langfuse", do: laterTraces, has: []string{"traceId|trace_id", "startTime|start_time|timestamp", "level|observations|parentObservationId|parent_observation_id"}},
	{what: "a trace export of LangSmith", do: laterTraces, has: []string{"run_type", "inputs|outputs|dotted_order"}},
	{what: "a span of a trace", do: laterTraces, has: []string{"traceId|trace_id|context", "spanId|span_id|parent_id", "attributes"}},
	{
		what: "a CloudTrail file", do: "extract its events: jq -c '.Records[]' FILE | audittrail import --from cloudtrail --source NAME -",
		has: []string{"Records"}, only: true,
	},
	{
		what: "training data in OpenAI's form, not a log of calls", do: "register it as a data set: audittrail lineage add dataset",
		has: []string{"messages"}, only: true, may: []string{"tools", "functions", "parallel_tool_calls", "weight"},
	},
	{
		what: "training data in OpenAI's form, not a log of calls", do: "register it as a data set: audittrail lineage add dataset",
		has: []string{"prompt", "completion"}, only: true,
	},
	{
		what: "training data in OpenAI's form, not a log of calls", do: "register it as a data set: audittrail lineage add dataset",
		has: []string{"input", "preferred_output", "non_preferred_output"}, only: true,
	},
	{what: "an event of OpenLineage", do: "import it with audittrail lineage import", has: []string{"run", "job", "eventTime"}},
	{what: "a CycloneDX bill of materials", do: "import it with audittrail lineage import", has: []string{"bomFormat", "specVersion"}},
}
