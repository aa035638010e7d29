package export_test

import (
	"context"
	"testing"
	"time"

	"florin/internal/export"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

func newCatalog(t *testing.T, url string) *export.Catalog {
	t.Helper()
	return export.NewCatalog(dbtest.Open(t, url, database.Options{}), clock.System)
}

func destination() string { return "file:///exports/" + id.New("d") }

func open(t *testing.T, c *export.Catalog, to string) export.Export {
	t.Helper()
	e, err := c.Open(t.Context(), to, export.NDJSON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := c.Cancel(context.Background(), e.ID); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestCatalogHasOneLiveExportADestination(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		c := newCatalog(t, url)
		to := destination()
		first := open(t, c, to)
		if first.Status != export.Running || first.Kind != export.Folder || first.Destination != to || first.Part != 0 {
			t.Fatalf("%+v", first)
		}
		if again := open(t, c, to+"/"); again != first {
			t.Fatalf("%+v is another than %+v", again, first)
		}
		_, err := c.Open(t.Context(), to, export.CSV)
		wantCode(t, err, export.FormatDiffers)
		if _, err := c.Cancel(t.Context(), first.ID); err != nil {
			t.Fatal(err)
		}
		if second := open(t, c, to); second.ID == first.ID || second.Status != export.Running {
			t.Fatalf("%+v after a cancelled one", second)
		}
		if kept, err := c.ByID(t.Context(), first.ID); err != nil || kept.Status != export.Finished {
			t.Fatalf("the record of the cancelled one: %+v, %v", kept, err)
		}
	})
}

func TestCatalogKeepsNoSecrets(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		c := newCatalog(t, url)
		bucket := id.New("b")
		e := open(t, c, "S3://user:secret@"+bucket+"/ledger/?AWS_SECRET_ACCESS_KEY=secret")
		if e.Destination != "s3://"+bucket+"/ledger" || e.Kind != export.Changefeed {
			t.Fatalf("%+v", e)
		}
		if err := c.SetJob(t.Context(), e.ID, 42); err != nil {
			t.Fatal(err)
		}
		if e, err := c.ByID(t.Context(), e.ID); err != nil || e.JobID != 42 {
			t.Fatalf("%+v, %v", e, err)
		}
		for _, bad := range []string{"", "folder", "file://folder", "file:folder", "s3:", "file:///x?key=secret", "%zz"} {
			_, err := c.Open(t.Context(), bad, export.NDJSON)
			wantCode(t, err, export.InvalidDestination)
		}
		_, err := c.Open(t.Context(), destination(), "xlsx")
		wantCode(t, err, export.InvalidFormat)
	})
}

func TestCatalogStatuses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		c := newCatalog(t, url)
		e := open(t, c, destination())
		ctx := t.Context()
		steps := []struct {
			name string
			act  func() (export.Export, error)
			want export.Status
			code export.Code
		}{
			{"pause", func() (export.Export, error) { return c.Pause(ctx, e.ID) }, export.Paused, ""},
			{"pause again", func() (export.Export, error) { return c.Pause(ctx, e.ID) }, export.Paused, ""},
			{"resume", func() (export.Export, error) { return c.Resume(ctx, e.ID) }, export.Running, ""},
			{"resume again", func() (export.Export, error) { return c.Resume(ctx, e.ID) }, export.Running, ""},
			{"fail", func() (export.Export, error) { return c.Fail(ctx, e.ID, export.FolderUnusable, "disk full") }, export.Failed, ""},
			{"pause what failed", func() (export.Export, error) { return c.Pause(ctx, e.ID) }, "", export.NotRunning},
			{"resume what failed", func() (export.Export, error) { return c.Resume(ctx, e.ID) }, export.Running, ""},
			{"cancel", func() (export.Export, error) { return c.Cancel(ctx, e.ID) }, export.Finished, ""},
			{"cancel again", func() (export.Export, error) { return c.Cancel(ctx, e.ID) }, export.Finished, ""},
			{"resume what is cancelled", func() (export.Export, error) { return c.Resume(ctx, e.ID) }, "", export.Cancelled},
			{"pause what is cancelled", func() (export.Export, error) { return c.Pause(ctx, e.ID) }, "", export.Cancelled},
			{"fail what is cancelled", func() (export.Export, error) { return c.Fail(ctx, e.ID, export.FolderUnusable, "x") }, "", export.Cancelled},
			{"pause what is not there", func() (export.Export, error) { return c.Pause(ctx, "exp_none") }, "", export.NotFound},
		}
		var before export.Export
		for _, step := range steps {
			after, err := step.act()
			if step.code != "" {
				wantCode(t, err, step.code)
				continue
			}
			if err != nil || after.Status != step.want {
				t.Fatalf("%s: %+v, %v", step.name, after, err)
			}
			if isFailed := after.Status == export.Failed; (after.Error != "") != isFailed || (after.ErrorCode == export.FolderUnusable) != isFailed {
				t.Fatalf("%s: error %q %q", step.name, after.ErrorCode, after.Error)
			}
			if after.Status == before.Status && after != before {
				t.Fatalf("%s changed %+v to %+v", step.name, before, after)
			}
			if stored, err := c.ByID(ctx, e.ID); err != nil || stored != after {
				t.Fatalf("%s: stored %+v, returned %+v, %v", step.name, stored, after, err)
			}
			before = after
		}
	})
}

func TestCatalogProgressNeverGoesBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		c := newCatalog(t, url)
		e := open(t, c, destination())
		at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		progress := export.Progress{Part: 2, ManifestHash: "ab", Rows: 10, ResolvedAt: at, Position: "0/10"}
		for range 2 {
			if err := c.SaveProgress(t.Context(), e.ID, progress); err != nil {
				t.Fatal(err)
			}
		}
		behind, earlier := progress, progress
		behind.Part = 1
		earlier.ResolvedAt = at.Add(-time.Second)
		other := progress
		other.ManifestHash = "cd"
		wantCode(t, c.SaveProgress(t.Context(), e.ID, behind), export.ProgressConflict)
		wantCode(t, c.SaveProgress(t.Context(), e.ID, other), export.ProgressConflict)
		wantCode(t, c.SaveProgress(t.Context(), e.ID, earlier), export.ProgressConflict)
		if stored, err := c.ByID(t.Context(), e.ID); err != nil || stored.Progress != progress {
			t.Fatalf("%+v, %v", stored, err)
		}
	})
}

func TestCatalogListsInPages(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		c := newCatalog(t, url)
		want := map[string]bool{}
		for range 5 {
			want[open(t, c, destination()).ID] = true
		}
		for after := ""; ; {
			page, err := c.List(t.Context(), after, 2)
			if err != nil || len(page) > 2 {
				t.Fatal(len(page), err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				if e.ID <= after {
					t.Fatalf("%s comes after %s", e.ID, after)
				}
				delete(want, e.ID)
				after = e.ID
			}
		}
		if len(want) > 0 {
			t.Fatalf("not listed: %v", want)
		}
	})
}
