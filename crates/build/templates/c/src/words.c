#include "words.h"

#include <ctype.h>

size_t words(const char *text, size_t length) {
    size_t count = 0;
    int inside = 0;
    for (size_t at = 0; at < length; at++) {
        int space = isspace((unsigned char)text[at]);
        count += !space && !inside;
        inside = !space;
    }
    return count;
}
