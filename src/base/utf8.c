/* UTF-8: what is well-formed, where it may be cut, and control characters in it. */
#include "base/utf8.h"

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

enum { BLOCK = 64 };

/* The length of the character at `c`, of which `left` bytes are there; 0 where it is ill-formed or NUL. The
 * second byte has narrower bounds after some first bytes (RFC 3629, section 4). */
static size_t length_at(const unsigned char *c, size_t left) {
    if (c[0] < 0x80) return c[0] != 0 ? 1 : 0;
    size_t length = c[0] >= 0xF0 ? 4 : c[0] >= 0xE0 ? 3 : 2;
    if (c[0] < 0xC2 || c[0] > 0xF4 || length > left) return 0;
    unsigned char low = c[0] == 0xE0 ? 0xA0 : c[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = c[0] == 0xED ? 0x9F : c[0] == 0xF4 ? 0x8F : 0xBF;
    if (c[1] < low || c[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((c[i] & 0xC0) != 0x80) return 0;
    return length;
}

/* Sixteen bytes, which compilers for any processor know as one. */
typedef unsigned char bytes __attribute__((vector_size(16)));

/* Whether a block is ASCII without NUL. */
static bool is_plain(const char *data) {
    bytes part, any = {0}, nul = {0};
    uint64_t words[2];
    for (size_t at = 0; at < BLOCK; at += sizeof part) {
        memcpy(&part, data + at, sizeof part);
        any |= part;
        nul |= (bytes)(part == 0);
    }
    any |= nul; /* all bits, where one is */
    memcpy(words, &any, sizeof words);
    return ((words[0] | words[1]) & HIGHS) == 0;
}

/* How many bytes at the start are ASCII without NUL; there may be a few more. */
static size_t skip_ascii(const char *data, size_t size) {
    size_t at = 0;
    while (size - at >= BLOCK && is_plain(data + at))
        at += BLOCK;
    for (uint64_t word; size - at >= sizeof word; at += sizeof word) {
        memcpy(&word, data + at, sizeof word);
        if (((word - ONES) | word) & HIGHS) break; /* a byte past 0x7F, or a NUL */
    }
    return at;
}

size_t hf__utf8_check(const char *data, size_t size) {
    size_t at = 0;
    while (at < size) {
        at += skip_ascii(data + at, size - at);
        while (at < size) {
            size_t length = length_at((const unsigned char *)data + at, size - at);
            if (length == 0) return at;
            at += length;
            if (length == 1 && size - at >= sizeof(uint64_t)) break;
        }
    }
    return at;
}

size_t hf__utf8_cut(const char *data, size_t size, size_t limit) {
    if (size <= limit) return size;
    size_t cut = limit;
    while (cut > 0 && limit - cut < 3 && ((unsigned char)data[cut] & 0xC0) == 0x80)
        cut--;
    return cut;
}

bool hf__utf8_has_control(const char *data, size_t size) {
    const unsigned char *c = (const unsigned char *)data;
    size_t i = 0;
    for (uint64_t word; size - i >= sizeof word; i += sizeof word) {
        memcpy(&word, data + i, sizeof word);
        uint64_t below = word - ONES * 0x20, delete = (word ^ ONES * 0x7F) - ONES;
        if ((word | below | delete) & HIGHS) break; /* there may be one: a look at each byte tells */
    }
    for (; i < size; i++) {
        if (c[i] < 0x20 || c[i] == 0x7F) return true;
        if (c[i] == 0xC2 && i + 1 < size && c[i + 1] >= 0x80 && c[i + 1] <= 0x9F) return true;
    }
    return false;
}
