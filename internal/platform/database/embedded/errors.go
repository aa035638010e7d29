package embedded

import "errors"

// Each error Start returns is one line that says what to do, and is one of
// these to errors.Is.
var (
	// ErrNoEngine means that no engine that suits the options is installed.
	ErrNoEngine = errors.New("no database engine found")
	// ErrInUse means that another live process runs the data folder's engine.
	ErrInUse = errors.New("data folder in use")
	// ErrBrokenDataDir means that the data folder cannot be used as it is.
	ErrBrokenDataDir = errors.New("data folder unusable")
	// ErrBadBinary means that the engine's program, such as the one that
	// COCKROACH_BINARY names, does not exist or does not run.
	ErrBadBinary = errors.New("database program unusable")
	// ErrBadSetting means that a cluster setting is malformed or was refused.
	ErrBadSetting = errors.New("bad cluster setting")
	// ErrRegions means that the regions asked for are malformed, or are not those
	// of the cluster, or other data, in the data folder.
	ErrRegions = errors.New("regions do not fit")
	// ErrCannotDropRoot means that we run as root, PostgreSQL must not, and no
	// way to start it as somebody else works here.
	ErrCannotDropRoot = errors.New("PostgreSQL does not run as root")
	// ErrNotStarted means that the engine was started but never answered.
	ErrNotStarted = errors.New("database engine did not start")
)
