package export_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/parquet-go/parquet-go"

	"florin/internal/export"
	"florin/internal/platform/clock"
)

// bucket is an S3 server with one bucket, "books".
type bucket struct {
	t       *testing.T
	backend *s3mem.Backend
	url     string
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	b := &bucket{t: t, backend: s3mem.New()}
	if err := b.backend.CreateBucket("books"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(b.backend).Server())
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// files are the bucket's files of a table, by name.
func (b *bucket) files(folder, table string) map[string][]byte {
	b.t.Helper()
	files := map[string][]byte{}
	list, err := b.backend.ListBucket("books", &gofakes3.Prefix{HasPrefix: true, Prefix: folder + "/"}, gofakes3.ListBucketPage{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, file := range list.Contents {
		if !strings.Contains(file.Key, "-"+table+"-") {
			continue
		}
		object, err := b.backend.GetObject("books", file.Key, nil)
		if err != nil {
			b.t.Fatal(err)
		}
		content, err := io.ReadAll(object.Contents)
		object.Contents.Close()
		if err != nil {
			b.t.Fatal(err)
		}
		files[file.Key] = content
	}
	return files
}

// postings are the keys of all postings in the bucket.
func (b *bucket) postings(folder string) map[string]bool {
	b.t.Helper()
	keys := map[string]bool{}
	for name, content := range b.files(folder, "postings") {
		if strings.HasSuffix(name, ".parquet") {
			rows, err := parquet.Read[struct {
				AccountID string `parquet:"account_id"`
				Seq       int64  `parquet:"seq"`
			}](bytes.NewReader(content), int64(len(content)))
			if err != nil {
				b.t.Fatalf("%s: %v", name, err)
			}
			for _, row := range rows {
				keys[fmt.Sprint(row.AccountID, "/", row.Seq)] = true
			}
			continue
		}
		for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
			var row struct {
				After struct {
					AccountID string `json:"account_id"`
					Seq       int64
				}
			}
			if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
				b.t.Fatalf("%s: %v", name, err)
			}
			keys[fmt.Sprint(row.After.AccountID, "/", row.After.Seq)] = true
		}
	}
	return keys
}

func TestBucketGetsEveryPosting(t *testing.T) {
	t.Parallel()
	if os.Getenv("AWS_CA_BUNDLE") != "" {
		t.Skip("CockroachDB reaches no S3 server of one's own while AWS_CA_BUNDLE is set in its environment")
	}
	onCockroach(t, func(t *testing.T, databaseURL string) {
		w, b := newWorld(t, databaseURL), newBucket(t)
		c := w.control("s3://books?AWS_REGION=us-east-1&AWS_USE_PATH_STYLE=true&AWS_ENDPOINT=" + url.QueryEscape(b.url))
		w.acts(20)
		w.settle()
		formats := []export.Format{export.NDJSON, export.Parquet}
		exports := map[export.Format]export.Export{}
		for _, format := range formats {
			exports[format] = w.must(c.Create(t.Context(), "s3://books/"+string(format)+"?AWS_ACCESS_KEY_ID=me&AWS_SECRET_ACCESS_KEY=secret", format))
		}
		_, err := c.Create(t.Context(), "s3://books/ndjson", export.Parquet)
		wantCode(t, err, export.FormatDiffers)
		w.acts(20)
		w.settle()
		committed := clock.System()
		for _, format := range formats {
			e := exports[format]
			w.until("the resolved time passes the last posting", func() bool {
				e = w.must(c.ByID(t.Context(), e.ID))
				return e.ResolvedAt.After(committed)
			})
			if got := int64(len(b.postings(string(format)))); got != w.postings() || len(b.files(string(format), "transfers")) == 0 {
				t.Errorf("%s: %d of %d postings, %d files of transfers", format, got, w.postings(), len(b.files(string(format), "transfers")))
			}
			w.must(c.Cancel(t.Context(), e.ID))
		}
	})
}
