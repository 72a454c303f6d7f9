/* UTF-8: what is well-formed, where it may be cut, and control characters in it. */
#include "base/utf8.h"

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

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

/* How many bytes at the start are ASCII without NUL; there may be a few more. */
static size_t skip_ascii(const char *data, size_t size) {
    uint64_t words[4];
    size_t at = 0;
    for (; size - at >= sizeof words; at += sizeof words) {
        uint64_t other = 0; /* than that: bytes past 0x7F, or a NUL */
        memcpy(words, data + at, sizeof words);
        for (int i = 0; i < 4; i++)
            other |= (words[i] - ONES) | words[i];
        if (other & HIGHS) break;
    }
    for (; size - at >= sizeof *words; at += sizeof *words) {
        memcpy(words, data + at, sizeof *words);
        if (((*words - ONES) | *words) & HIGHS) break;
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
    for (size_t i = 0; i < size; i++) {
        if (c[i] < 0x20 || c[i] == 0x7F) return true;
        if (c[i] == 0xC2 && i + 1 < size && c[i + 1] >= 0x80 && c[i + 1] <= 0x9F) return true;
    }
    return false;
}
