#include <stddef.h>

/// The number of words in a text of some length.
size_t words(const char *text, size_t length);
