package admin

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// flatten are the values of a JSON object by their path: reward.steps[0].percent.
// They stand in the order of the paths. Texts are without their quotes; numbers are
// the very characters that were sent. What is no object has the path "".
func flatten(object json.RawMessage) []formField {
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber()
	var root any
	if len(object) == 0 || decoder.Decode(&root) != nil {
		return nil
	}
	values := map[string]string{}
	flattenInto(values, "", root)
	var fields []formField
	for _, name := range slices.SortedFunc(maps.Keys(values), naturally) {
		fields = append(fields, formField{name, values[name]})
	}
	return fields
}

func flattenInto(values map[string]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if path != "" {
				name = path + "." + name
			}
			flattenInto(values, name, member)
		}
		if len(v) == 0 && path != "" {
			values[path] = "{}"
		}
	case []any:
		for i, element := range v {
			flattenInto(values, path+"["+strconv.Itoa(i)+"]", element)
		}
		if len(v) == 0 {
			values[path] = "[]"
		}
	case string:
		values[path] = v
	case json.Number:
		values[path] = v.String()
	case bool:
		values[path] = strconv.FormatBool(v)
	default:
		values[path] = "null"
	}
}

// naturally orders paths with their numbers as numbers: steps[2] before steps[10].
func naturally(a, b string) int {
	for a != "" && b != "" {
		if x, y := digitsOf(a), digitsOf(b); x != "" && y != "" && x != y {
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			return strings.Compare(x, y)
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

// digitsOf are the digits that a text begins with.
func digitsOf(text string) string { return text[:len(text)-len(strings.TrimLeft(text, "0123456789"))] }

// difference is a value before and after a change.
type difference struct {
	name          string
	before, after string
	was, is       bool // it was there, it is there
}

// what says in a word what happened to the value.
func (d *difference) what() string {
	switch {
	case !d.was:
		return "Added"
	case !d.is:
		return "Removed"
	case d.before != d.after:
		return "Changed"
	}
	return "Same"
}

// differences are the values of two JSON objects beside each other, what differs
// first.
func differences(before, after json.RawMessage) []difference {
	byName := map[string]difference{}
	for _, f := range flatten(before) {
		byName[f.name] = difference{name: f.name, before: f.value, was: true}
	}
	for _, f := range flatten(after) {
		d := byName[f.name]
		d.name, d.after, d.is = f.name, f.value, true
		byName[f.name] = d
	}
	var all []difference
	for _, name := range slices.SortedFunc(maps.Keys(byName), naturally) {
		all = append(all, byName[name])
	}
	sortByChange(all)
	return all
}

// sortByChange puts what differs first.
func sortByChange(all []difference) {
	rank := func(d difference) int {
		if d.what() == "Same" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b difference) int { return rank(a) - rank(b) })
}

// indented is a JSON text for reading.
func indented(object json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, object, "", "  ") != nil {
		return string(object)
	}
	return out.String()
}
