package main

import (
	"bytes"
	"strings"
	"testing"

	"florin/internal/ledger"
)

func TestVerifyRecordsItsProofWhereItMayWrite(t *testing.T) {
	t.Parallel()
	db, run := verifiable(t)
	newest := func() ledger.ProofRecord {
		t.Helper()
		proofs, err := ledger.New(db, db, ledger.Options{}).NewestProofs(t.Context())
		if err != nil || len(proofs) != 1 {
			t.Fatalf("%+v, %v", proofs, err)
		}
		return proofs[0]
	}
	run(verifyCommand{}, nil)
	right := newest()
	if right.Kind != ledger.ProofInFull || !right.IsBalanced || right.Offences != 0 || !strings.HasPrefix(right.RecordedBy, "florin verify") || right.RecordedAt.Before(right.ReadAt) {
		t.Errorf("%+v", right)
	}
	_, err := db.Exec(t.Context(), `
		INSERT INTO accounts (account_id, account_type, currency, status, posted, held, shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at)
		VALUES ('forged', 'ASSET', 'USD', 'ACTIVE', 1, 0, 0, 0, 1, '{}', '', now(), now())`)
	if err != nil {
		t.Fatal(err)
	}
	run(verifyCommand{}, errExit)
	if wrong := newest(); wrong.IsBalanced || wrong.Offences != 2 || len(wrong.Sums) != 1 || wrong.Sums[0].Accounts != 1 || wrong.Sums[0].Sum.String() != "1" || !wrong.ReadAt.After(right.ReadAt) {
		t.Errorf("%+v", wrong)
	}

	// Where it may not write, the proof is the same, and said so.
	for _, sql := range []string{"DELETE FROM accounts", "ALTER TABLE proofs RENAME TO out_of_reach"} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var out, progress bytes.Buffer
	if err := (&verifyCommand{}).verify(t.Context(), db, &out, &progress); err != nil || !strings.Contains(progress.String(), "the overview will not show this proof") {
		t.Errorf("%v\n%s", err, progress.String())
	}
}
