package topology

import (
	"os"
	"strings"
	"testing"
)

const (
	alarmsDoc   = "../docs/operations.md"
	alarmsTable = "| alarm | what to do |\n| --- | --- |\n"
)

// agreed is how a story with a DCS begins.
const agreed = "a primary 1, b standby 1, dcs a, agent a leads, agent b follows\n"

// alarmStories has a story for each row of the document's table that ends with that alarm.
var alarmStories = []struct {
	limits Limits
	story  string
}{
	{dcsLimits, agreed + "a standby 1, b standby 1, dcs b\n wait 2500ms\n a standby 1, b standby 1, dcs b\n wait 2500ms\n a standby 1, b standby 1, dcs b"},
	{dcsLimits, agreed + "a standby 1, b standby 1, dcs x\n wait 2500ms\n a standby 1, b standby 1, dcs x\n wait 2500ms\n a standby 1, b standby 1, dcs x"},
	{dcsLimits, agreed + "a primary 1, b standby 1, dcs -\n wait 2500ms\n a primary 1, b standby 1, dcs -"},
	{dcsLimits, agreed + "pass 11s\n a primary 1, b standby 1, agent a fails"},
	{dcsLimits, agreed + "pass 11s\n a primary 1, b standby 1, agent a leads"},
	{taleLimits, "a primary 1, b standby 1\n a readonly 1"},
	{taleLimits, "a primary 1, b standby 1\n a refused, b primary 2"},
	{taleLimits, "a primary 1, b standby 1\n a primary 2 from 1@60\n a refused, b primary 3 from 1@40"},
	{taleLimits, "a primary 1, b standby 1\n a missed, b primary 1"},
	{taleLimits, "a primary 1, b standby 1\n b standby 2"},
	{taleLimits, "a primary 1, b primary 1"},
	{taleLimits, "a primary 1, b standby 1\n a refused, b primary 2 from 1@60\n a primary 1"},
	{dcsLimits, agreed + "a primary 1, b primary 1, dcs a, agent a leads"},
	{taleLimits, "a primary 2, b standby 2\n a primary 1 again, b standby 1"},
}

// TestTheDocumentationExplainsAlarmsAsTheyAreRaised holds docs/operations.md to the reducer, row by row.
func TestTheDocumentationExplainsAlarmsAsTheyAreRaised(t *testing.T) {
	rows := documentedAlarms(t)
	for i, row := range rows {
		if i >= len(alarmStories) {
			t.Errorf("%s: no story raises %q", alarmsDoc, row)
			continue
		}
		s := taleWith(t, alarmStories[i].limits, "a", "b")
		s.tell(alarmStories[i].story)
		if alarm := s.state.Snapshot().Alarm; !says(alarm, row) {
			t.Errorf("%s\n the alarm:    %q\n the document: %q", alarmStories[i].story, alarm, row)
		}
	}
	if len(rows) < len(alarmStories) {
		t.Errorf("%s has %d alarms, the stories raise %d", alarmsDoc, len(rows), len(alarmStories))
	}
}

// documentedAlarms returns the first column of the table.
func documentedAlarms(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(alarmsDoc)
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), alarmsTable)
	if !found {
		t.Fatalf("%s has no table of alarms", alarmsDoc)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var alarms []string
	for row := range strings.Lines(table) {
		alarms = append(alarms, strings.Split(row, "`")[1])
	}
	return alarms
}

// says reports whether the alarm is the documented one, in which "…" stands for whatever there is.
func says(alarm, documented string) bool {
	for part := range strings.SplitSeq(documented, "…") {
		_, rest, found := strings.Cut(alarm, part)
		if !found {
			return false
		}
		alarm = rest
	}
	return true
}
