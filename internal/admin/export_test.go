package admin

// Patterns are the routes of the pages, for tests that have to know all of them.
func Patterns() (patterns []string) {
	for _, route := range (&Pages{}).allRoutes() {
		patterns = append(patterns, route.pattern)
	}
	return patterns
}
