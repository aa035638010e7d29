package process

import "os"

// logSizeMax is how large a program's log may be when it is opened; a larger one
// becomes NAME.1 first.
const logSizeMax = 16 << 20

// OpenLog opens the file that a program prints to, to be added to. Only we may
// read it.
func OpenLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logSizeMax {
		_ = os.Rename(path, path+".1") // better a long log than none
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}
