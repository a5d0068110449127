package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// bill records entities of all kinds and exports them as CycloneDX.
func bill(t *testing.T) (dir, name string) {
	t.Helper()
	dir, name = filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "bom.json")
	audittrail(t, dir, "init", "--origin", origin)
	for _, args := range [][]string{
		{"dataset", "--name", "crawl", "--version", "1", "--licence", "CC-BY-4.0", "--location", "s3://bucket/crawl", "--owner", "data"},
		{"dataset", "--name", "tickets", "--version", "2", "--source", "crawl@1", "--personal-data", "--digest", strings.Repeat("ab", 32)},
		{"prompt", "--name", "polite", "--version", "1", "--text", "Be polite."},
		{"run", "--name", "bot-3", "--dataset", "tickets@2", "--start", "2026-11-01T08:00:00Z", "--end", "2026-11-02", "--parameter", "epochs=3"},
		{"model", "--name", "bot", "--version", "3", "--run", "bot-3", "--dataset", "crawl@1", "--digest", strings.Repeat("cd", 32), "--intended-use", "answers tickets", "--description", "a bot"},
		{"model", "--name", "bot", "--version", "4", "--parent", "bot@3", "--location", "models/bot 4"},
		{"evaluation", "--name", "red-team", "--model", "bot@3", "--metric", "refused=0.98", "--result", "passed"},
		{"deployment", "--model", "bot@3", "--environment", "production", "--prompt", "polite@1", "--from", "2026-11-02"},
	} {
		audittrail(t, dir, append([]string{"lineage", "add"}, args...)...)
	}
	audittrail(t, dir, "lineage", "export", "--format", "cyclonedx", "--out", name)
	return dir, name
}

// TestCycloneDXSchema validates a bill with the standard's own schema, from its
// Go library.
func TestCycloneDXSchema(t *testing.T) {
	_, name := bill(t)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	schemas := filepath.Join(strings.TrimSpace(string(out)), "schema")
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for url, file := range map[string]string{
		"http://cyclonedx.org/schema/bom-1.6.schema.json":  "bom-1.6.schema.json",
		"http://cyclonedx.org/schema/spdx.schema.json":     "spdx.schema.json",
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		if err := c.AddResource(url, parse(t, filepath.Join(schemas, file))); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(parse(t, name)); err != nil {
		t.Errorf("the schema refuses what we write: %v", err)
	}
	var b cdx.BOM
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	if err := cdx.NewBOMDecoder(f, cdx.BOMFileFormatJSON).Decode(&b); err != nil {
		t.Fatal(err)
	}
	if n := len(*b.Components); n != 5 {
		t.Errorf("the library finds %d components, want 5", n)
	}
	// The schema refuses an invalid bill.
	altered := filepath.Join(t.TempDir(), "altered.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(altered, []byte(strings.Replace(string(text), `"taskTypes":["build"]`, `"taskTypes":["train"]`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.Validate(parse(t, altered)) == nil {
		t.Error("the schema takes a task that there is none of")
	}
}

func parse(t *testing.T, name string) any {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	v, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// script checks a bill with the JavaScript library of CycloneDX, and prints one
// that the library makes.
const script = `
const CDX = require('@cyclonedx/cyclonedx-library');
const bom = new CDX.Models.Bom();
const data = new CDX.Models.Component(CDX.Enums.ComponentType.Data, 'corpus', {
  bomRef: 'corpus-ref', version: '7', description: 'texts',
  hashes: new CDX.Models.HashDictionary([[CDX.Enums.HashAlgorithm['SHA-256'], 'ef'.repeat(32)]]),
});
const model = new CDX.Models.Component(CDX.Enums.ComponentType.MachineLearningModel, 'scribe', {
  bomRef: 'model-ref', group: 'acme', version: '1',
  externalReferences: new CDX.Models.ExternalReferenceRepository([
    new CDX.Models.ExternalReference('https://acme.example/scribe', CDX.Enums.ExternalReferenceType.Distribution)]),
  dependencies: new CDX.Models.BomRefRepository([data.bomRef]),
});
bom.metadata.component = model;
bom.components.add(data);
const spec = CDX.Spec.Spec1dot6;
const text = new CDX.Serialize.JsonSerializer(new CDX.Serialize.JSON.Normalize.Factory(spec)).serialize(bom);
const check = async () => {
  const v = new CDX.Validation.JsonStrictValidator(CDX.Spec.Version.v1dot6);
  const problem = await v.validate(require('fs').readFileSync(process.argv[2], 'utf8'));
  if (problem) { console.error(JSON.stringify(problem)); process.exit(1); }
  console.log(text);
};
check();
`

// TestCycloneDXLibrary has the JavaScript library check a bill of ours, with
// the strictest of its validators, and reads one that it makes.
func TestCycloneDXLibrary(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no npm to fetch the library with")
		}
		t.Skip("there is no npm to fetch the library with")
	}
	_, name := bill(t)
	dir := t.TempDir()
	run := func(program string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s%s", cmd.Args, err, out, &stderr)
		}
		return out
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "check.js"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	run("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "@cyclonedx/cyclonedx-library@10.3.0", "ajv@8", "ajv-formats@3", "ajv-formats-draft2019@1")
	theirs := run("node", "check.js", name)
	if err := os.WriteFile(filepath.Join(dir, "theirs.json"), theirs, 0o600); err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(t.TempDir(), "log")
	audittrail(t, second, "init", "--origin", origin)
	audittrail(t, second, "lineage", "import", filepath.Join(dir, "theirs.json"))
	shown := string(audittrail(t, second, "lineage", "show", "model:acme/scribe@1", "-o", "json"))
	for _, want := range []string{`"dataset:corpus@7"`, `"location":"https://acme.example/scribe"`} {
		if !strings.Contains(shown, want) {
			t.Errorf("of the library's bill, %s is not there:\n%s", want, shown)
		}
	}
}
