package admin

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// assetsPath is the path that the files beside the pages stand under.
const assetsPath = Root + "/assets/"

// assets serves the files beside the pages, from the program itself. Their path
// names their content, so a browser keeps them for good.
type assets struct {
	version string // of all of them
	files   map[string]assetFile
}

type assetFile struct {
	mediaType     string
	plain, zipped []byte
}

// mediaTypes are ours: those that a machine knows differ.
var mediaTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func newAssets() assets {
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic("admin: " + err.Error()) // embedded
	}
	all := sha256.New()
	files := make(map[string]assetFile, len(entries))
	for _, entry := range entries {
		content, err := assetFiles.ReadFile("assets/" + entry.Name())
		if err != nil {
			panic("admin: " + err.Error()) // embedded
		}
		fmt.Fprintf(all, "%s %d\n", entry.Name(), len(content))
		all.Write(content)
		files[entry.Name()] = assetFile{mediaTypes[path.Ext(entry.Name())], content, zip(content)}
	}
	return assets{version: hex.EncodeToString(all.Sum(nil)[:8]), files: files}
}

func zip(content []byte) []byte {
	var zipped bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // the level is one that there is
	_, _ = w.Write(content)                                    // a buffer takes all
	_ = w.Close()
	return zipped.Bytes()
}

// of is the path of a file.
func (a assets) of(name string) string { return assetsPath + a.version + "/" + name }

// ServeHTTP implements http.Handler. While replicas of two versions run, one is
// asked for files that the other's page names: it has them, but not to be kept.
func (a assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, found := a.files[r.PathValue("name")]
	if !found {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	if r.PathValue("version") == a.version {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	header.Set("Content-Type", file.mediaType)
	header.Set("Vary", "Accept-Encoding")
	content := file.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		content = file.zipped
	}
	_, _ = w.Write(content) // nobody is there to be told
}
