package admin

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestDifferencesOfJSON(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after string
		want          []string // name, what, before, after
	}{
		"changed, added, removed first": {
			`{"a":1,"b":"x","c":true}`, `{"a":1,"b":"y","d":null}`,
			[]string{"b Changed x y", "c Removed true ", "d Added  null", "a Same 1 1"},
		},
		"nested, by the numbers of lists": {
			`{"steps":[0,1,2,3,4,5,6,7,8,9,{"percent":"5"}]}`, `{"steps":[0,1,2,3,4,5,6,7,8,9,{"percent":"6"}]}`,
			[]string{
				"steps[10].percent Changed 5 6", "steps[0] Same 0 0", "steps[1] Same 1 1", "steps[2] Same 2 2", "steps[3] Same 3 3", "steps[4] Same 4 4",
				"steps[5] Same 5 5", "steps[6] Same 6 6", "steps[7] Same 7 7", "steps[8] Same 8 8", "steps[9] Same 9 9",
			},
		},
		"numbers keep their characters": {`{"a":0.10}`, `{"a":0.1}`, []string{"a Changed 0.10 0.1"}},
		"empty ones are shown":          {`{"a":{}}`, `{"a":[]}`, []string{"a Changed {} []"}},
		"what is no object":             {``, `"text"`, []string{" Added  text"}},
		"nothing":                       {``, `{}`, nil},
		"what is no JSON":               {``, `{`, nil},
	} {
		var got []string
		for _, d := range differences(json.RawMessage(c.before), json.RawMessage(c.after)) {
			got = append(got, d.name+" "+d.what()+" "+d.before+" "+d.after)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}
