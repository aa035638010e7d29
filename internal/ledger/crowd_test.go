package ledger

import (
	"fmt"
	"testing"
)

func batchOf(uses map[string]int) *keys {
	k := &keys{accounts: uses}
	for _, n := range uses {
		k.commands += n
	}
	return k
}

func loaded(ids ...string) *book {
	b := &book{accounts: map[string]*accountEntry{}}
	for _, id := range ids {
		b.accounts[id] = &accountEntry{Account: Account{ID: id, HomeRegion: "region of " + id}}
	}
	return b
}

func TestTheAccountThatMostCommandsShareIsLockedFirstOnceItsHomeIsKnown(t *testing.T) {
	t.Parallel()
	var c crowd
	fees := batchOf(map[string]int{"fees": 5, "a": 1, "b": 2})
	if first := c.first(fees); first != nil {
		t.Fatalf("of unknown home: %+v", first)
	}
	c.learn(fees, loaded("fees", "a", "b"))
	if first := c.first(fees); first == nil || *first != (crowdedAccount{"fees", "region of fees"}) {
		t.Fatalf("%+v", first)
	}
	// Known from before, in a batch that shares nothing or something unknown.
	for _, uses := range []map[string]int{{"fees": 1, "x": 1}, {"fees": 1, "x": 3}} {
		if first := c.first(batchOf(uses)); first == nil || first.id != "fees" {
			t.Errorf("%v: %+v", uses, first)
		}
	}
	if first := c.first(batchOf(map[string]int{"x": 1, "y": 1})); first != nil {
		t.Errorf("nothing known: %+v", first)
	}
}

func TestAnAccountSharedByChanceIsNotRemembered(t *testing.T) {
	t.Parallel()
	var c crowd
	uses := map[string]int{"twice": 2}
	for i := range 100 {
		uses[fmt.Sprint("once", i)] = 1
	}
	for _, batch := range []*keys{batchOf(uses), batchOf(map[string]int{"alone": 1}), batchOf(map[string]int{"missing": 9})} {
		c.learn(batch, loaded("twice", "alone"))
	}
	if len(c.homes) != 0 {
		t.Fatalf("%v", c.homes)
	}
}

func TestWhatIsRememberedOfCrowdsIsBounded(t *testing.T) {
	t.Parallel()
	var c crowd
	for i := range 3 * crowdMax {
		id := fmt.Sprint("hot", i)
		c.learn(batchOf(map[string]int{id: 2}), loaded(id))
		if len(c.homes) > crowdMax {
			t.Fatalf("%d remembered", len(c.homes))
		}
	}
}
