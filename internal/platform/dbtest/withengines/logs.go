package main

import (
	"fmt"
	"os"
	"path/filepath"

	"florin/internal/platform/dbtest/secrets"
)

// logFolder is where tests keep logs: the caller's own folder, or one in dir.
func logFolder(dir string) (string, error) {
	folder := os.Getenv(secrets.FolderEnv)
	if folder == "" {
		folder = filepath.Join(dir, "logs")
		return folder, os.Mkdir(folder, 0o700)
	}
	folder, err := filepath.Abs(folder) // tests run in the folders of their packages
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", fmt.Errorf("%s: %w", secrets.FolderEnv, err)
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("%s: %s is not empty", secrets.FolderEnv, folder)
	}
	return folder, nil
}

// searchLogs says which logs of the tests, of the engines that test packages started
// in own, and of those started in dir show a secret of a test, and how many lines do.
func searchLogs(logs, own, dir string, databases []database) (leaks int, err error) {
	folders := []string{logs, own}
	for _, d := range databases {
		if d.server != nil {
			folders = append(folders, filepath.Join(dir, d.kind))
		}
	}
	found, err := secrets.Search(folders...)
	if err != nil {
		return 0, fmt.Errorf("search the logs for secrets: %w", err)
	}
	if found.Secrets == 0 {
		return 0, nil
	}
	for _, leak := range found.Leaks {
		fmt.Fprintln(os.Stderr, "SECRET IN A LOG:", leak)
	}
	fmt.Fprintf(os.Stderr, "withengines: looked for %d secrets of the tests in %d logs, %d MB: %d lines show one\n",
		found.Secrets, found.Logs, found.Bytes>>20, len(found.Leaks))
	return len(found.Leaks), nil
}
