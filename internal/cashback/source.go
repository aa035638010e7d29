package cashback

// The sources of purchases and returns that are no gateway's: no gateway may be called
// like one of them.
const (
	SourceAPI  = "api"  // reported by a call
	SourceFile = "file" // read from a file, by florin ingest
)
