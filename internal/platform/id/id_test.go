package id_test

import (
	"regexp"
	"strings"
	"testing"

	"florin/internal/platform/id"
)

func TestIsPossibleIsThePatternOfTheAPI(t *testing.T) {
	pattern := regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,50}$`)
	texts := []string{"", "a", strings.Repeat("x", id.MaxLength), strings.Repeat("x", id.MaxLength+1), "a\n", "ä", "order-1001", id.New("req")}
	for c := range 256 {
		texts = append(texts, "a"+string([]byte{byte(c)}))
	}
	for _, text := range texts {
		if got := id.IsPossible(text); got != pattern.MatchString(text) {
			t.Errorf("IsPossible(%q) is %v", text, got)
		}
	}
}
