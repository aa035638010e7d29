package export

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// History is written beside its place, because a crash in the middle of it can't
// be gone on from: the engine's snapshot is lost with the connection. Only when
// all is there do its parts move into the folder, one after the other.

func (f *folder) historyDir() string { return filepath.Join(f.dir, historyName) }

// stageHistory begins a history: what an earlier try left is taken away.
func (f *folder) stageHistory() (*folder, error) {
	if err := os.RemoveAll(f.historyDir()); err != nil {
		return nil, unusable(err)
	}
	if err := os.Mkdir(f.historyDir(), 0o750); err != nil {
		return nil, unusable(err)
	}
	return &folder{dir: f.historyDir()}, nil
}

// completeHistory marks the staged history as whole. It is published from now on.
func (f *folder) completeHistory(exportID string) error {
	return writeDurably(f.historyDir(), completeName, []byte(exportID))
}

// recoverHistory publishes a history that is complete and takes away one that is
// not. Doing it again does nothing.
func (f *folder) recoverHistory(exportID string) error {
	marker := filepath.Join(f.historyDir(), completeName)
	owner, err := os.ReadFile(marker)
	if err == nil {
		if string(owner) != exportID {
			return FolderMismatch.Failure("%s holds the history of export %s, not %s: choose an empty folder", f.dir, owner, exportID)
		}
		err = f.publishHistory()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unusable(err)
	}
	if err := os.RemoveAll(f.historyDir()); err != nil {
		return unusable(err)
	}
	return syncFolder(f.dir)
}

func (f *folder) publishHistory() error {
	numbers, err := parts(f.historyDir())
	if err != nil {
		return err
	}
	for _, part := range numbers {
		m, _, err := readManifest(f.historyDir(), part)
		if err != nil {
			return err
		}
		// The manifest moves last; without it the data that moved is no part yet.
		for _, name := range []string{m.File, manifestName(part)} {
			err := renameDurably(filepath.Join(f.historyDir(), name), filepath.Join(f.dir, name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // moved before a crash
				return err
			}
		}
	}
	return nil
}
