package reporting

import (
	"embed"
	"io/fs"
	"strings"
	"sync"
)

// Ready is a query that comes with the program.
type Ready struct {
	Name        string // of its file
	Title       string
	Description string
	Query       string
}

//go:embed library/*.sql
var libraryFiles embed.FS

// Library are the ready queries, in the order of their names. They read the views of
// docs/reporting.md alone, and run on both engines.
var Library = sync.OnceValue(func() []Ready {
	files, err := fs.Glob(libraryFiles, "library/*.sql")
	if err != nil {
		panic(err) // the pattern is the one above
	}
	list := make([]Ready, len(files))
	for i, file := range files {
		text, err := fs.ReadFile(libraryFiles, file)
		if err != nil {
			panic(err)
		}
		list[i] = readReady(strings.TrimSuffix(strings.TrimPrefix(file, "library/"), ".sql"), string(text))
	}
	return list
})

// readReady takes a file apart: a comment, of which the first line is the title, then
// the query.
func readReady(name, text string) Ready {
	r := Ready{Name: name}
	var description []string
	for strings.HasPrefix(text, "-- ") {
		line, rest, _ := strings.Cut(text, "\n")
		if line = strings.TrimPrefix(line, "-- "); r.Title == "" {
			r.Title = line
		} else {
			description = append(description, line)
		}
		text = rest
	}
	r.Description, r.Query = strings.Join(description, " "), strings.TrimSpace(text)
	return r
}
