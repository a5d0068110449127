package keyring_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"audittrail/internal/vfs"
	"audittrail/keyring"
)

// TestSecretsArePrintedNowhere prints every type that contains a key, with
// every verb and encoder.
func TestSecretsArePrintedNowhere(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	defer closeRing(t, r)
	h := seal(t, r, "printed user", class)
	flush(t, r)
	k, err := r.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	all := files(t, disk)
	master := masterOf(t, all)
	ring := all[ringFile(r)]
	found := frames(ring, unwrap(master, ring))
	secrets := map[string][]byte{
		"master key": master, "subject key": subjectKey(t, found, h.subject), "PRK": h.prk[:], "class key": classKey(t, found, class),
	}
	for _, f := range found {
		for _, name := range []string{"seed", "secret"} {
			if _, after, ok := bytes.Cut(f.payload, []byte(`"`+name+`":"`)); ok {
				value, _, _ := bytes.Cut(after, []byte(`"`))
				raw, err := base64.StdEncoding.DecodeString(string(value))
				if err != nil {
					t.Fatal(err)
				}
				secrets[name] = raw
			}
		}
	}
	if len(secrets) != 6 {
		t.Fatalf("found %d secrets, want 6", len(secrets))
	}
	secret := keyring.Secret(master)
	values := map[string]any{
		"Secret": secret, "*Secret": &secret, "[]Secret": []keyring.Secret{secret}, "Ring": r, "SignerKey": k, "*SignerKey": &k,
		"Signer": r.Signer(), "new Signer": k.Signer(), "PRK": h.prk,
		"MasterText": keyring.MasterText(string(keyring.FormatMaster(secret))), "MasterFile": keyring.MasterFile(disk, "x"),
		"Options": keyring.Options{Master: keyring.MasterText(string(keyring.FormatMaster(secret)))},
		"struct":  struct{ S keyring.Secret }{secret}, "Signers": r.Signers(),
	}
	for name, v := range values {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%08b", "%c"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		for what, s := range secrets {
			for form, text := range map[string]string{
				"raw": string(s[:8]), "hex": hex.EncodeToString(s[:8]), "HEX": strings.ToUpper(hex.EncodeToString(s[:8])),
				"base64": base64.StdEncoding.EncodeToString(s[:9]), "list": strings.Trim(fmt.Sprint(s[:8]), "[]"),
				"bits": strings.Trim(fmt.Sprintf("%08b", s[:8]), "[]"), "Go": strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", s[:8]), "[]byte"), "{}"),
			} {
				if strings.Contains(out.String(), text) {
					t.Errorf("%s prints the %s (%s)", name, what, form)
				}
			}
		}
	}
	if got := fmt.Sprintf("%v %+v", r, r); !strings.Contains(got, "example.com/log") {
		t.Errorf("the ring prints as %q", got)
	}
}
