package export

import (
	"context"
	"errors"
	"time"

	"florin/internal/platform/clock"
)

// writeHistory stages everything posted before the feed's beginning, in parts of
// bounded size, and publishes it when it is complete.
func (x *exporter) writeHistory(ctx context.Context) error {
	staged, err := x.folder.stageHistory()
	if err != nil {
		return err
	}
	h := &historyWriter{exporter: x, staged: staged}
	begin, err := x.feed.Begin(ctx, func(tx transaction) error { return h.addWhileRunning(ctx, tx) })
	if err != nil {
		return errors.Join(err, h.abandon())
	}
	if err := x.waitUntilRunning(ctx); err != nil { // it may be cancelled since its slot was made
		return errors.Join(err, h.abandon())
	}
	if err := h.finish(begin); err != nil {
		return err
	}
	if err := x.folder.completeHistory(x.export.ID); err != nil {
		return err
	}
	if err := x.folder.recover(x.export); err != nil { // publishes it
		return err
	}
	for _, m := range h.written {
		x.wrote(m)
	}
	return x.save(ctx, x.folder.progress())
}

// historyWriter closes a part whenever the next row would exceed its size, so
// that the last one is left for the time that history ends at.
type historyWriter struct {
	exporter *exporter
	staged   *folder
	current  *partFile // nil before the first
	manifest Manifest
	written  []Manifest
	asked    func() time.Duration // since the catalog was asked last
}

// addWhileRunning obeys the catalog while history is read, which may take hours.
func (h *historyWriter) addWhileRunning(ctx context.Context, tx transaction) error {
	if h.asked == nil || h.asked() > statusPause {
		if err := h.exporter.waitUntilRunning(ctx); err != nil {
			return err
		}
		h.asked = clock.Stopwatch()
	}
	return h.add(tx)
}

func (h *historyWriter) add(tx transaction) error {
	if h.current != nil && h.current.totals.rows+2 > int64(h.exporter.options.PartRows) {
		if err := h.close(); err != nil {
			return err
		}
	}
	if h.current == nil {
		if err := h.open(); err != nil {
			return err
		}
	}
	return h.current.add(tx)
}

func (h *historyWriter) open() (err error) {
	h.manifest = h.staged.follow(h.exporter.export)
	h.manifest.History = true
	h.current, err = createPart(h.staged.dir, h.manifest.File, h.manifest.Format)
	return err
}

func (h *historyWriter) close() error {
	part := h.current
	h.current = nil
	if err := part.close(&h.manifest); err != nil {
		return err
	}
	h.manifest.TotalRows = h.staged.head.TotalRows + h.manifest.Rows
	if err := h.staged.publish(h.manifest); err != nil {
		return err
	}
	h.written = append(h.written, h.manifest)
	return nil
}

func (h *historyWriter) finish(begin start) error {
	if h.current == nil {
		if err := h.open(); err != nil {
			return err
		}
	}
	h.manifest.ResolvedAt, h.manifest.Position = microseconds(begin.at), begin.position
	return h.close()
}

func (h *historyWriter) abandon() error {
	if h.current == nil {
		return nil
	}
	return h.current.abandon()
}
