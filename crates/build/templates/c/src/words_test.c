#include "words.h"

#include <stdio.h>
#include <string.h>

static int failed;

static void expect(const char *text, size_t want) {
    size_t got = words(text, strlen(text));
    if (got != want) {
        printf("words(\"%s\") = %zu, want %zu\n", text, got, want);
        failed = 1;
    }
}

int main(void) {
    expect("", 0);
    expect("one two  three\n", 3);
    return failed;
}
