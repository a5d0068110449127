package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"audittrail/keyring"
	"audittrail/record"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "keyring")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	ring, err := keyring.Create(ctx, filepath.Join(dir, "keys"), "example.com/log", keyring.Options{})
	if err != nil {
		log.Fatal(err)
	}
	// Before a record about ada is written, its keys are made durable.
	subject, prk, err := ring.EncryptionKey("ada@example.com", "standard/2026-11")
	if err != nil {
		log.Fatal(err)
	}
	if err := ring.Flush(); err != nil {
		log.Fatal(err)
	}
	again, err := ring.DecryptionKey(subject, "standard/2026-11")
	fmt.Println(again == prk, err)

	// Record 7 orders the erasure of ada.
	if err := ring.Destroy(keyring.Destruction{Subjects: []record.Subject{subject}, Seq: 7, Hash: record.Hash{}}); err != nil {
		log.Fatal(err)
	}
	_, err = ring.DecryptionKey(subject, "standard/2026-11")
	fmt.Println(errors.Is(err, keyring.ErrErased), err)

	fmt.Println(ring.Close())
	// Output:
	// true <nil>
	// true find decryption key: key of subject is erased since record 7
	// <nil>
}

func ExampleOpen_readOnly() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "keyring")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	writer, err := keyring.Create(ctx, dir, "example.com/log", keyring.Options{})
	if err != nil {
		log.Fatal(err)
	}
	// As another process would, concurrently with the writer:
	reader, err := keyring.Open(ctx, dir, keyring.Options{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	subject, _, err := writer.EncryptionKey("ada@example.com", "standard/2026-11")
	if err != nil {
		log.Fatal(err)
	}
	if err := writer.Flush(); err != nil {
		log.Fatal(err)
	}
	user, err := reader.User(subject)
	fmt.Println(user, err)
	fmt.Println(errors.Join(reader.Close(), writer.Close()))
	// Output:
	// ada@example.com <nil>
	// <nil>
}

func ExampleMasterFunc() {
	// A key management service that decrypts a key which it wrapped before.
	kms := keyring.MasterFunc(func(context.Context) (keyring.Secret, error) {
		return keyring.Secret{1, 2, 3}, nil
	})
	dir, err := os.MkdirTemp("", "keyring")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ring, err := keyring.Create(context.Background(), dir, "example.com/log", keyring.Options{Master: kms})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ring, ring.Close())
	// Output: keyring example.com/log <nil>
}

func ExampleRestore() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "keyring")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ring, err := keyring.Create(ctx, filepath.Join(dir, "keys"), "example.com/log", keyring.Options{})
	if err != nil {
		log.Fatal(err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		log.Fatal(err)
	}
	var backup bytes.Buffer
	if _, err := ring.Backup(&backup, identity.Recipient(), time.Now().AddDate(0, 0, 30)); err != nil {
		log.Fatal(err)
	}
	if err := ring.Close(); err != nil {
		log.Fatal(err)
	}
	// Elsewhere, under a master key of its own:
	err = keyring.Restore(ctx, filepath.Join(dir, "restored"), &backup, identity, keyring.Options{})
	fmt.Println(err)
	// Output: <nil>
}
