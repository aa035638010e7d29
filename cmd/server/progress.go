package main

import (
	"fmt"
	"os"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"florin/internal/bench"
)

// progress shows on standard error what a long command does: a bar on a
// terminal, otherwise one line when something begins.
type progress struct {
	bars *mpb.Progress // nil without a terminal
	bar  *mpb.Bar
	name string
	note atomic.Value // string; read while the bar is drawn
}

func newProgress() *progress {
	p := &progress{}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		p.bars = mpb.New(mpb.WithOutput(os.Stderr), mpb.WithWidth(40))
	}
	return p
}

// show moves the bar called name to done of total; note stands behind it. A new
// name begins a new bar.
func (p *progress) show(name, note string, done, total int64) {
	if name != p.name {
		p.finish()
		p.name = name
		if p.bars == nil {
			fmt.Fprintln(os.Stderr, name)
		} else {
			p.note.Store(note)
			p.bar = p.bars.AddBar(total,
				mpb.PrependDecorators(decor.Name(name, decor.WC{C: decor.DindentRight | decor.DextraSpace})),
				mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.note.Load().(string) })))
		}
	}
	if p.bar != nil {
		p.note.Store(note)
		p.bar.SetCurrent(min(done, total))
	}
}

func (p *progress) finish() {
	if p.bar != nil {
		p.bar.Abort(true) // the summary says what there is to say
		p.bar.Wait()
		p.bar = nil
	}
}

func (p *progress) close() {
	p.finish()
	if p.bars != nil {
		p.bars.Wait()
	}
}

func (p *progress) bench(step bench.Progress) {
	if step.Duration == 0 {
		p.show(fmt.Sprintf("%s: %s", step.Run, step.Step), "", 0, 1)
		return
	}
	p.show(fmt.Sprintf("%s: %s", step.Run, step.Step), fmt.Sprintf("%d transfers", step.Transfers),
		step.Elapsed.Milliseconds(), step.Duration.Milliseconds())
}
