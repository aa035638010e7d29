package audit

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func text(s string) *string { return &s }

// The encoding is for ever: a trail of years ago is verified by it. The hashes are
// those of another program that was written after the same description.
func TestTheEncodingOfARowDoesNotChange(t *testing.T) {
	t.Parallel()
	r := row{
		day: "2026-01-31", journal: "abcdefghijklmnop", seq: 7, recordedAt: 1_769_851_800_123_456,
		action: "account.updated", targetKind: "account", targetID: "acc_1", before: text(`{"status":"ACTIVE"}`), after: text(`{"status":"FROZEN"}`),
		result: "ok", actorKind: "user", actorID: "user_1", role: "operator", address: "192.0.2.1", requestID: "req_1",
	}
	got, _ := r.link(genesis(r.day, r.journal), nil)
	if want := "fe1383c0169d64d957749fb0206bcd82afd4ff87352bb977c43799df21d30cef"; hex.EncodeToString(got[:]) != want {
		t.Errorf("the row's hash is %x; want %s", got, want)
	}
	root := rootOf(got[:], "2026-01-31", 7, 1, formatHeads([]journalHead{{r.journal, 7, got[:]}}))
	if want := "c042eeabd57953840a9337f8adc987b2a6f90cf226b32603d49e4b62cab4c025"; hex.EncodeToString(root[:]) != want {
		t.Errorf("the day's root is %x; want %s", root, want)
	}
}

func TestEveryColumnIsInTheHash(t *testing.T) {
	t.Parallel()
	base := row{day: "2026-01-31", journal: "j", seq: 1, recordedAt: 1, before: text("{}")}
	seen := map[hash]string{}
	note := func(name string, r row, previous hash) {
		sum, _ := r.link(previous, nil)
		if other, found := seen[sum]; found {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[sum] = name
	}
	note("nothing changed", base, hash{})
	note("the row before", base, hash{1})
	fields := reflect.TypeFor[row]()
	for i := range fields.NumField() {
		changed := base
		// The field is set by its address: it isn't exported.
		field := reflect.NewAt(fields.Field(i).Type, reflect.ValueOf(&changed).Elem().Field(i).Addr().UnsafePointer()).Elem()
		switch field.Kind() {
		case reflect.String:
			field.SetString(field.String() + "x")
		case reflect.Int64:
			field.SetInt(field.Int() + 1)
		case reflect.Pointer:
			field.Set(reflect.ValueOf(text("")))
		default:
			t.Fatalf("a column of type %s", field.Type())
		}
		note(fields.Field(i).Name, changed, hash{})
	}
	null, moved := base, base
	null.before = nil
	note("before is NULL", null, hash{})
	moved.before, moved.after = nil, base.before
	note("before is after", moved, hash{})
}

// decoder reads the encoding back.
type decoder struct {
	data []byte
	err  error
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.data) {
		d.err, d.data = errors.New("too short"), nil
		return make([]byte, max(n, 0))
	}
	taken := d.data[:n]
	d.data = d.data[n:]
	return taken
}

func (d *decoder) number() int64 { return int64(binary.BigEndian.Uint64(d.take(8))) }
func (d *decoder) text() string {
	return string(d.take(min(int(binary.BigEndian.Uint32(d.take(4))), len(d.data))))
}
func (d *decoder) optional() *string {
	if d.take(1)[0] == 0 {
		return nil
	}
	return text(d.text())
}

// What can be read back in one way only is no other row's.
func FuzzTheEncodingCanBeReadBack(f *testing.F) {
	f.Add("2026-01-31", "j", int64(1), int64(2), "a", "k", "i", "{}", "", true, false, "ok", "user", "u")
	f.Add("", "", int64(-1), int64(0), "a\x00", "\xff", "0001", "", "x", true, true, "", "", "")
	f.Fuzz(func(t *testing.T, day, journal string, seq, at int64, action, kind, target, before, after string, hasBefore, hasAfter bool, result, actorKind, actorID string) {
		r := row{day: day, journal: journal, seq: seq, recordedAt: at, action: action, targetKind: kind, targetID: target,
			result: result, actorKind: actorKind, actorID: actorID, role: kind, address: target, requestID: journal}
		if hasBefore {
			r.before = &before
		}
		if hasAfter {
			r.after = &after
		}
		_, buf := r.link(hash{}, nil)
		d := decoder{data: buf[len(hash{}):]}
		back := row{
			day: d.text(), journal: d.text(), seq: d.number(), recordedAt: d.number(), action: d.text(), targetKind: d.text(), targetID: d.text(),
			before: d.optional(), after: d.optional(), result: d.text(), actorKind: d.text(), actorID: d.text(), role: d.text(), address: d.text(), requestID: d.text(),
		}
		if d.err != nil || len(d.data) > 0 || !reflect.DeepEqual(back, r) {
			t.Fatalf("%+v became %+v, %d left, %v", r, back, len(d.data), d.err)
		}
	})
}

func FuzzStorableIsWhatADatabaseTakes(f *testing.F) {
	for _, seed := range []string{"", "a", "\x00", "\xff\xfe", strings.Repeat("ä", 300), strings.Repeat("\xf0\x9f\x98\x80", 129), strings.Repeat("\xffa", 400), strings.Repeat("\x80", 600)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := storable(s)
		if !utf8.ValidString(got) || strings.Contains(got, "\x00") || len(got) > textMax {
			t.Fatalf("%q became %q", s, got)
		}
		if storable(got) != got {
			t.Fatalf("%q became %q, and that %q", s, got, storable(got))
		}
		if isFine := utf8.ValidString(s) && !strings.Contains(s, "\x00"); isFine && len(s) <= textMax && got != s {
			t.Fatalf("%q was changed to %q", s, got)
		} else if isFine && !strings.HasPrefix(s, got) {
			t.Fatalf("%q was not cut but made %q", s, got)
		}
		if kept := state([]byte(s)); !utf8.ValidString(kept) || strings.Contains(kept, "\x00") {
			t.Fatalf("%q became %q", s, kept)
		}
	})
}

func FuzzParseHeads(f *testing.F) {
	f.Add("")
	f.Add("abc 7 00ff\nabd 1 \n")
	f.Add("a b 7 00\n")
	f.Add("abc 7 00ff")
	f.Add("abc +7 00FF\n")
	f.Add(" 1 00\n")
	f.Fuzz(func(t *testing.T, s string) {
		heads, err := parseHeads(s)
		if err == nil && formatHeads(heads) != s {
			t.Fatalf("%q became %q", s, formatHeads(heads))
		}
	})
}

func TestParseHeadsReadsWhatFormatHeadsWrites(t *testing.T) {
	t.Parallel()
	want := []journalHead{{"abc", 7, []byte{0, 255}}, {"with blanks 1", 1 << 62, []byte{1}}}
	got, err := parseHeads(formatHeads(want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	for _, bad := range []string{"abc 7\n", "abc x 00\n", "abc 7 0\n", "abc 7 00", "abc  7  00\n\n", "abc 07 00\n", "abc 7 AA\n"} {
		if heads, err := parseHeads(bad); err == nil {
			t.Errorf("%q was read as %v", bad, heads)
		}
	}
}
