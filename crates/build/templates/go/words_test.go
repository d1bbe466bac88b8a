package main

import "testing"

func TestWordsAreCounted(t *testing.T) {
	for text, want := range map[string]int{"": 0, "one two  three\n": 3} {
		if got := words(text); got != want {
			t.Errorf("words(%q) = %d, want %d", text, got, want)
		}
	}
}
