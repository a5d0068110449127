package exchange_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/lineage"
	"audittrail/lineage/exchange"
)

// run is a run of MLflow whose members may be replaced.
func run(members string) string {
	return replaced(`{"info":{"run_id":"r","status":"FINISHED"}}`, members)
}

// tracked are answers of a tracking server, as its REST API gives them.
const tracked = `{"run":{"info":{"run_id":"0af7651916cd43dd8448eb211c80319c","run_uuid":"0af7651916cd43dd8448eb211c80319c","run_name":"sassy-owl-7","experiment_id":"3",
 "user_id":"ada","status":"FINISHED","start_time":1762066800123,"end_time":"1762070400000","artifact_uri":"mlflow-artifacts:/3/0af7/artifacts","lifecycle_stage":"active"},
 "data":{"metrics":[{"key":"rmse","value":0.78,"timestamp":1762070000000,"step":10},{"key":"nan","value":"NaN","timestamp":1,"step":0}],
  "params":[{"key":"lr","value":"0.01"}],
  "tags":[{"key":"mlflow.user","value":"ada"},{"key":"mlflow.source.name","value":"train.py"},{"key":"mlflow.source.git.commit","value":"8f1b2bb"},{"key":"team","value":"x"}]},
 "inputs":{"dataset_inputs":[{"tags":[{"key":"mlflow.data.context","value":"training"}],
   "dataset":{"name":"tickets","digest":"6f9fca9b","source_type":"local","source":"{\"uri\": \"s3://b/tickets.parquet\"}","schema":"{}","profile":"{\"num_rows\": 120}"}}]}}}
{"registered_model":{"name":"bot","creation_timestamp":1762070500000,"description":"all bots","aliases":[{"alias":"champion","version":"3"}],
 "latest_versions":[{"name":"bot","version":"3","creation_timestamp":1762070500000,"user_id":"ada","current_stage":"Production","description":"a bot",
  "source":"mlflow-artifacts:/3/0af7/artifacts/model","run_id":"0af7651916cd43dd8448eb211c80319c","status":"READY","tags":[{"key":"risk","value":"low"}]}]}}`

// client is the same run as the Python client's to_dictionary gives it.
const client = `{"info":{"run_id":"0af7651916cd43dd8448eb211c80319c","run_uuid":"0af7651916cd43dd8448eb211c80319c","run_name":"sassy-owl-7","experiment_id":"3",
 "user_id":"ada","status":"FINISHED","start_time":1762066800123,"end_time":1762070400000,"artifact_uri":"mlflow-artifacts:/3/0af7/artifacts","lifecycle_stage":"active"},
 "data":{"metrics":{"rmse":0.78},"params":{"lr":"0.01"},"tags":{"mlflow.user":"ada","mlflow.source.name":"train.py","mlflow.source.git.commit":"8f1b2bb","team":"x"}},
 "inputs":{"dataset_inputs":[]}}`

func TestMLflowOfOthers(t *testing.T) {
	tr := openTracker(t)
	d, _ := read(t, tr, exchange.MLflow, []byte(tracked))
	var got []string
	for _, item := range d.Items {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal(lineage.Encode(item.Entity), &fields); err != nil {
			t.Fatal(err)
		}
		delete(fields, "attributes")
		line, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(line)+" kept "+strings.Join(item.Kept, " "))
	}
	want := []string{
		`{"id":"dataset:tickets@6f9fca9b","location":"s3://b/tickets.parquet","name":"tickets","record_count":120,"version":"6f9fca9b"} kept profile schema source source_type`,
		`{"code":"8f1b2bb","datasets":["dataset:tickets@6f9fca9b"],"end":"2025-11-02T08:00:00.000000000Z","id":"run:0af7651916cd43dd8448eb211c80319c","metrics":{"nan":"NaN","rmse":0.78},"name":"sassy-owl-7","owner":"ada","parameters":{"lr":"0.01"},"start":"2025-11-02T07:00:00.123000000Z"} kept data.metrics data.tags dataset_inputs.dataset:tickets@6f9fca9b info.artifact_uri info.end_time info.experiment_id info.run_uuid info.user_id`,
		`{"created":"2025-11-02T08:01:40.000000000Z","description":"a bot","id":"model:bot@3","location":"mlflow-artifacts:/3/0af7/artifacts/model","name":"bot","owner":"ada","run":"run:0af7651916cd43dd8448eb211c80319c","version":"3"} kept current_stage registered_model.aliases registered_model.creation_timestamp registered_model.description tags.risk`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	_, done := read(t, tr, exchange.MLflow, []byte(tracked))
	for _, r := range done {
		if !r.Duplicate {
			t.Errorf("the second time, %s is another thing", r.ID)
		}
	}
	out := write(t, exchange.MLflow, exchange.Select(graphOf(t, tr), nil))
	for _, kept := range []string{
		`{"key":"rmse","step":10,"timestamp":1762070000000,"value":0.78}`, `{"key":"team","value":"x"}`, `"current_stage":"Production"`, `{"key":"lr","value":"0.01"}`,
	} {
		if !strings.Contains(string(out), kept) {
			t.Errorf("what is written again lacks %s:\n%s", kept, out)
		}
	}
	if _, err := exchange.Read(exchange.MLflow, []byte(client), nil); err != nil {
		t.Errorf("what the Python client gives: %v", err)
	}
}

// A version whose run is nowhere is refused, by its place.
func TestMLflowRunIsNowhere(t *testing.T) {
	tr := openTracker(t)
	_, alone, _ := strings.Cut(tracked, "\n{\"registered_model\"")
	d, err := exchange.Read(exchange.MLflow, []byte(`{"registered_model"`+alone), graphOf(t, tr))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tr.RegisterAll(t.Context(), d.Entities())
	if err == nil || !strings.Contains(err.Error(), `model:bot@3: run: no run "run:0af7651916cd43dd8448eb211c80319c" is registered`) {
		t.Errorf("RegisterAll = %v", err)
	}
	if got := d.Place("model:bot@3"); got != "registered_model.latest_versions[0]" {
		t.Errorf("its place is %q", got)
	}
}

// What MLflow takes comes back as it was; the rest is named.
func TestMLflowRoundTrip(t *testing.T) {
	_, g := register(t, whole()...)
	nodes := exchange.Select(g, nil)
	var b strings.Builder
	left, err := exchange.Write(&b, exchange.MLflow, nodes)
	if err != nil {
		t.Fatal(err)
	}
	tr := openTracker(t)
	kept := map[string]bool{}
	for _, n := range left {
		id, _, _ := strings.Cut(n, ": MLflow has")
		kept[id] = true
	}
	if len(kept) != 6 {
		t.Errorf("left out: %v", left)
	}
	if got, err := exchange.Detect([]byte(b.String())); got != exchange.MLflow || err != nil {
		t.Errorf("Detect = %q, %v", got, err)
	}
	read(t, tr, exchange.MLflow, []byte(b.String()))
	again := encoded(things(exchange.Select(graphOf(t, tr), nil)))
	for _, n := range nodes {
		want := string(n.Kind) + " " + string(lineage.Encode(n.Entity))
		if got := again[n.ID]; !kept[n.ID] && got != want {
			t.Errorf("%s came back as\n%s, and was\n%s", n.ID, got, want)
		}
	}
	altered := strings.Replace(b.String(), `"answers"`, `"lies"`, 1)
	if _, err := exchange.Read(exchange.MLflow, []byte(altered), nil); err == nil || !strings.Contains(err.Error(), "differs from the extension") {
		t.Errorf("an altered description: %v", err)
	}
}
