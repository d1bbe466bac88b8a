// A program that counts words: its stdin, or its arguments.
#include "words.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    size_t count = 0;
    for (int at = 1; at < argc; at++) {
        count += words(argv[at], strlen(argv[at]));
    }
    if (argc < 2) {
        static char text[1 << 20];
        count = words(text, fread(text, 1, sizeof text, stdin));
        if (ferror(stdin) || !feof(stdin)) {
            fputs("the text cannot be read, or is longer than 1 MiB\n", stderr);
            return 1;
        }
    }
    printf("%zu\n", count);
    return 0;
}
