package relay

import "testing"

// TestAQueueThatIsNeverEmptyStaysShort: a client that sends without end is remembered by what is outstanding alone.
func TestAQueueThatIsNeverEmptyStaysShort(t *testing.T) {
	const outstanding = 10
	var q queue[int]
	for i := range 100_000 {
		q.push(i)
		if i < outstanding {
			continue
		}
		if oldest := q.pop(); oldest != i-outstanding {
			t.Fatalf("%d comes after %d", oldest, i-outstanding-1)
		}
	}
	if places := cap(q.line); places > 10*outstanding {
		t.Errorf("%d places for %d", places, outstanding)
	}
}
