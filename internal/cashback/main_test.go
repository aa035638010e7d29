package cashback_test

import (
	"testing"

	"florin/internal/platform/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }
