package api

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// IdempotencyKey is the header that makes a repeat safe where the body may leave
// the id to the server.
type IdempotencyKey struct {
	Key string `header:"Idempotency-Key" minLength:"1" maxLength:"255" pattern:"^[!-~]+$" patternDescription:"printable ASCII without blanks" doc:"Makes a repeat safe when the body names no id: the id is then derived from this key, who you are and the path. The same key with the same body gives the first outcome, with another body a 409. Random values such as UUIDs are best." example:"6f1c2f0e-9a55-4f0e-8a53-6f2f1a6f0f7e"`
}

// id returns the given id, or the one that the key stands for; "" when there is
// neither and the ledger makes one. The scope is the route and what its path names.
func (k IdempotencyKey) id(ctx context.Context, prefix string, given ID, scope ...ID) string {
	if given != "" || k.Key == "" {
		return string(given)
	}
	const length = 26 // 130 bits, as of the ids that the ledger makes
	return prefix + "_" + k.digest(ctx, append(scope, ID(prefix))...)[:length]
}

// digest is the key as nobody else's: two actors' equal keys differ.
func (k IdempotencyKey) digest(ctx context.Context, scope ...ID) string {
	var text []byte
	for _, part := range append(scope, ID(principalOf(ctx).ID), ID(k.Key)) {
		text = binary.AppendUvarint(text, uint64(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}
