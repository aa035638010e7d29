package embedded

import (
	"testing"
)

func TestClusterSettings(t *testing.T) {
	for entry, want := range map[string]string{
		"kv.rangefeed.enabled=true":              "SET CLUSTER SETTING kv.rangefeed.enabled = true",
		" a.b = -1.5 ":                           "SET CLUSTER SETTING a.b = -1.5",
		"a=1; DROP DATABASE florin":              "SET CLUSTER SETTING a = '1; DROP DATABASE florin'",
		"a=it's":                                 "SET CLUSTER SETTING a = 'it''s'",
		`a=\'`:                                   `SET CLUSTER SETTING a = '\'''`,
		"a=x=y":                                  "SET CLUSTER SETTING a = 'x=y'",
		"a=":                                     "SET CLUSTER SETTING a = ''",
		"a=0x10":                                 "SET CLUSTER SETTING a = '0x10'",
		"kv.closed_timestamp.target_duration=1s": "SET CLUSTER SETTING kv.closed_timestamp.target_duration = '1s'",
	} {
		settings, err := ParseSettings([]string{entry})
		if err != nil || len(settings) != 1 {
			t.Errorf("%q: %v", entry, err)
		} else if got := settings[0].statement(); got != want {
			t.Errorf("%q becomes %q, want %q", entry, got, want)
		}
	}
	for _, entry := range []string{"", "=", "=1", "kv.rangefeed.enabled", "a b=1", "A=1", "a;b=1", "a'=1", "a--=1", "é=1", "a=\x00"} {
		_, err := ParseSettings([]string{"good=1", entry})
		oneLine(t, err, ErrBadSetting)
		_, err = Start(bounded(t), Options{DataDir: "/nowhere", ClusterSettings: []string{entry}})
		oneLine(t, err, ErrBadSetting)
	}
}

func TestClusterSettingsAreApplied(t *testing.T) {
	if _, err := Lookup(Cockroach); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	s := start(t, Options{DataDir: dir, Engine: Cockroach, Unsafe: true, ClusterSettings: []string{
		"kv.closed_timestamp.target_duration=1234ms", "cluster.organization=it's \\' ours", "sql.stats.automatic_collection.enabled=false",
	}})
	if got := ask(t, s, "SHOW CLUSTER SETTING cluster.organization"); got != `it's \' ours` {
		t.Errorf("organization %q", got)
	}
	if got := ask(t, s, "SELECT value FROM crdb_internal.cluster_settings WHERE variable = 'sql.stats.automatic_collection.enabled'"); got != "false" {
		t.Errorf("statistics %q", got)
	}
	if got := ask(t, s, "SELECT value FROM crdb_internal.cluster_settings WHERE variable = 'kv.rangefeed.enabled'"); got != "true" {
		t.Errorf("rangefeeds %q", got)
	}
	stop(t, s)
	_, err := Start(bounded(t), Options{DataDir: dir, Engine: Cockroach, Unsafe: true, ClusterSettings: []string{"no.such.setting=1"}})
	oneLine(t, err, ErrBadSetting, "no.such.setting")
}
