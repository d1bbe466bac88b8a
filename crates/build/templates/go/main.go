// A program that counts words: its stdin, or its arguments.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	text := strings.Join(os.Args[1:], " ")
	if len(os.Args) < 2 {
		stdin, err := io.ReadAll(os.Stdin)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		text = string(stdin)
	}
	fmt.Println(words(text))
}
