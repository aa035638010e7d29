package secrets

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Found is what a search of all logs came to.
type Found struct {
	Secrets int // looked for
	Logs    int // looked through
	Bytes   int64
	// Leaks name log, line and test, with the secret masked.
	Leaks []string
}

// Search looks for all secrets that tests registered in the folders through all logs
// there: files that end in .log, also those of an engine, whose write-ahead logs, such
// as 000012.log, are its data and not meant. The tests must have ended.
func Search(folders ...string) (found Found, err error) {
	var finder finder
	for _, folder := range folders {
		if err := readSecrets(folder, &finder); err != nil {
			return found, err
		}
	}
	found.Secrets = finder.count
	for _, folder := range folders {
		err := eachFile(folder, logSuffix, func(path string, file io.Reader) error {
			if isNumber(strings.TrimSuffix(filepath.Base(path), logSuffix)) {
				return nil
			}
			found.Logs++
			return searchFile(&finder, path, file, &found)
		})
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

func readSecrets(folder string, into *finder) error {
	known := map[string]bool{}
	return eachFile(folder, secretsSuffix, func(path string, file io.Reader) error {
		for lines := json.NewDecoder(file); ; {
			var s secret
			switch err := lines.Decode(&s); {
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // its program was killed
				return nil
			case err != nil:
				return fmt.Errorf("%s: %w", path, err)
			case len(s.Text) < MinLength:
				return fmt.Errorf("%s: a secret of %d bytes", path, len(s.Text))
			case !known[s.Text]:
				known[s.Text] = true
				into.add(s)
			}
		}
	})
}

// searchFile reads line by line: an engine's log may be large.
func searchFile(finder *finder, path string, file io.Reader, found *Found) error {
	lines := bufio.NewReaderSize(file, 1<<16)
	for number := 1; ; number++ {
		line, err := lines.ReadString('\n')
		found.Bytes += int64(len(line))
		if shown, isFound := finder.findIn(number, strings.TrimRight(line, "\r\n")); isFound {
			found.Leaks = append(found.Leaks, path+": "+shown.String())
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// eachFile calls fn for all files beneath a folder with such a name. One that is
// gone meanwhile is none.
func eachFile(folder, suffix string, fn func(path string, file io.Reader) error) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() || !strings.HasSuffix(path, suffix) {
			return err
		}
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer file.Close()
		return fn(path, file)
	})
}
