package main

import "strings"

// words returns the number of words in a text.
func words(text string) int {
	return len(strings.Fields(text))
}
