package api

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"florin/internal/platform/ratelimit"
)

const (
	// batchBytesMax is how much of batches' bodies may be under way at once: the
	// memory that they need has a bound, whoever calls.
	batchBytesMax = 48 << 20
	// callerBatchBytesMax is how much of it one caller may hold, so that one who
	// sends slowly keeps nobody else out; but a batch that is his only one may have
	// any size.
	callerBatchBytesMax = batchBytesMax / 8
)

// batchMemory counts the bytes of batches' bodies as they are read.
type batchMemory struct {
	total atomic.Int64

	mu      sync.Mutex
	callers map[ratelimit.Subject]*callerBatches
}

// callerBatches are one caller's batches under way.
type callerBatches struct {
	requests int // guarded by batchMemory.mu
	bytes    atomic.Int64
}

// limitBatches refuses to read more than the memory there is.
func (a *api) limitBatches(ctx huma.Context, next func(huma.Context)) {
	r := humagin.Unwrap(ctx).Request
	subject := callerOf(principalOf(r.Context()))
	caller, isFirst := a.batches.begin(subject)
	body := &countedBody{ReadCloser: r.Body, memory: &a.batches, caller: caller, isFirst: isFirst}
	defer a.batches.end(subject, body)
	r.Body = body
	next(ctx)
}

// begin counts one more batch of a caller; isFirst says that he had none.
func (m *batchMemory) begin(subject ratelimit.Subject) (caller *callerBatches, isFirst bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	caller = m.callers[subject]
	if caller == nil {
		if m.callers == nil {
			m.callers = map[ratelimit.Subject]*callerBatches{}
		}
		caller = &callerBatches{}
		m.callers[subject] = caller
	}
	caller.requests++
	return caller, caller.requests == 1
}

func (m *batchMemory) end(subject ratelimit.Subject, body *countedBody) {
	m.total.Add(-body.read)
	m.mu.Lock()
	defer m.mu.Unlock()
	body.caller.bytes.Add(-body.read)
	if body.caller.requests--; body.caller.requests == 0 {
		delete(m.callers, subject)
	}
}

// countedBody refuses to be read when too much is under way already.
type countedBody struct {
	io.ReadCloser
	memory  *batchMemory
	caller  *callerBatches
	isFirst bool // it began when the caller had no other
	read    int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	total, own := b.memory.total.Add(int64(n)), b.caller.bytes.Add(int64(n))
	switch {
	case total > batchBytesMax:
		return n, codeOverloaded.problem("too many large batches are under way")
	case own > callerBatchBytesMax && !b.isFirst:
		return n, codeOverloaded.problem("too many large batches of yours are under way")
	}
	return n, err
}
