package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/bits"
	"os"

	"florin/internal/cashback"
)

// filePurchase is what a file says of one purchase id, in one place or in several.
type filePurchase struct {
	first *ingestLine
	wrong *ingestLine // the first that can't be taken; nil for none
	lines int         // with what stands between them
	// begins is the number of the first line of each kind. What is bought and what came
	// back is sent from there: what is of the same customer in between keeps its order.
	begins map[ingestKind]int64
	later  []*ingestLine // those that are not of the first group
	groups int
}

// add takes over the next lines of the purchase, which stand together.
func (p *filePurchase) add(lines []*ingestLine) {
	if p.first == nil {
		p.first, p.begins = lines[0], make(map[ingestKind]int64, 1)
	}
	for _, line := range lines {
		line.compare(p.first)
		if line.problem != nil && p.wrong == nil {
			p.wrong = line
		}
		if kind := line.kind(); p.begins[kind] == 0 {
			p.begins[kind] = line.number
		}
	}
	p.lines += len(lines)
	p.groups++
	if p.groups > 1 {
		p.later = append(p.later, lines...)
	}
	if p.isRejected() {
		p.later = nil
	}
}

// isRejected says that none of it can be taken.
func (p *filePurchase) isRejected() bool { return p.wrong != nil || p.lines > cashback.MaxLines }

// reject rejects lines of a purchase of which none can be taken.
func (p *filePurchase) reject(lines []*ingestLine) {
	for _, line := range lines {
		line.compare(p.first)
		if p.lines > cashback.MaxLines {
			line.reject("too_many_lines", "a purchase has at most %d lines", cashback.MaxLines)
		} else {
			line.reject("purchase_incomplete", "line %d of the same purchase is rejected: %s", p.wrong.number, p.wrong.problem.code)
		}
	}
}

// items are what is to be sent where these lines of the purchase stand.
func (p *filePurchase) items(lines []*ingestLine) (items []ingestItem) {
	last := lines[len(lines)-1].number
	for _, kind := range []ingestKind{ingestPurchases, ingestReturns} {
		if begins := p.begins[kind]; begins < lines[0].number || begins > last {
			continue // in another place, or there is none
		}
		item := ingestItem{kind: kind}
		for _, line := range lines {
			item.add(line)
		}
		for _, line := range p.later {
			if line.number > last {
				item.add(line)
			}
		}
		items = append(items, item)
	}
	return items
}

// scattered are the purchases of a file whose lines stand in several places, by id.
type scattered map[string]*filePurchase

// scatteredMax bounds what is held of them, in bytes. A file that is in no order at
// all has to be sorted.
const scatteredMax = 64 << 20

// findScattered reads a file to find the purchases that are scattered over it, and
// their lines; a second time when there may be any. It holds at most about the given
// number of bytes of them, and returns an error when there is more. progress is told
// how much of the file is read.
func findScattered(ctx context.Context, path string, mapping ingestMapping, most int, progress func(read int64)) (scattered, error) {
	found, held := scattered{}, 0
	hold := func(bytes int) error {
		if held += bytes; held > most {
			return fmt.Errorf("the purchases whose lines don't stand together take more than %d MiB: sort the file, or take it in in parts", max(1, most>>20))
		}
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	seen := newFilter(info.Size())
	err = eachGroup(ctx, path, mapping, progress, func(g *ingestGroup) error {
		if !seen.add(g.id) || found[g.id] != nil {
			return nil
		}
		found[g.id] = &filePurchase{}
		return hold(len(g.id))
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	err = eachGroup(ctx, path, mapping, progress, func(g *ingestGroup) error {
		p := found[g.id]
		if p == nil {
			return nil
		}
		before := len(p.later)
		p.add(g.lines[:g.own])
		if p.groups == 1 {
			return hold(p.first.size())
		}
		size := 0
		for _, line := range p.later[min(before, len(p.later)):] {
			size += line.size()
		}
		return hold(size)
	})
	for id, p := range found {
		if p.groups == 1 { // the filter was mistaken
			delete(found, id)
		}
	}
	return found, err
}

// eachGroup calls do with the groups of a file that are of a purchase.
func eachGroup(ctx context.Context, path string, mapping ingestMapping, progress func(read int64), do func(*ingestGroup) error) error {
	r, err := openIngest(path, mapping, nil, ingestPosition{})
	if err != nil {
		return err
	}
	defer r.close()
	for ctx.Err() == nil {
		g, err := r.read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && g.own > 0 {
			err = do(g)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		progress(r.consumed.Load())
	}
	return ctx.Err()
}

// filter remembers texts in a fixed number of bits: of one that it was told of it
// says so, and of few others too.
type filter struct {
	bits []uint64 // a power of two of them
	seed maphash.Seed
}

const (
	// filterBitsPerByte of the file: of a line, of which even zipped some bytes are
	// left, more than ten.
	filterBitsPerByte = 2
	filterBitsMin     = 1 << 16
	filterBitsMax     = 1 << 29 // 64 MiB, enough for some 50 million purchases
	// filterProbes is how many bits stand for a text.
	filterProbes = 4
)

// newFilter makes one for the ids of a file of so many bytes.
func newFilter(size int64) *filter {
	n := uint64(min(max(filterBitsPerByte*size, filterBitsMin), filterBitsMax)) //nolint:gosec // above zero
	return &filter{make([]uint64, 1<<bits.Len64(n-1)/64), maphash.MakeSeed()}
}

// add remembers a text and says whether it was remembered before.
func (f *filter) add(text string) (wasThere bool) {
	hash := maphash.String(f.seed, text)
	step := hash>>32 | 1
	wasThere = true
	for range filterProbes {
		word, bit := &f.bits[hash/64%uint64(len(f.bits))], uint64(1)<<(hash%64)
		wasThere = wasThere && *word&bit != 0
		*word |= bit
		hash += step
	}
	return wasThere
}
