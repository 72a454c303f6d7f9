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

/* Sixteen bytes, which compilers for any processor know as one. Signed: what is past 0x7F is below 0. */
typedef signed char bytes __attribute__((vector_size(16)));

static bytes load(const char *data) {
    bytes part;
    memcpy(&part, data, sizeof part);
    return part;
}

/* Whether each byte, which is what a comparison left there, says yes. */
static bool all(bytes yes) {
    uint64_t words[2];
    memcpy(words, &yes, sizeof words);
    return (words[0] & words[1]) == UINT64_MAX;
}

/* Whether a block is ASCII without NUL. */
static bool is_plain(const char *data) {
    bytes yes = load(data) > 0;
    for (size_t at = sizeof yes; at < BLOCK; at += sizeof yes)
        yes &= load(data + at) > 0;
    return all(yes);
}

static uint64_t load_word(const char *data) {
    uint64_t word;
    memcpy(&word, data, sizeof word);
    return word;
}

/* Whether one of eight bytes is past 0x7F, or a NUL. */
static bool has_other(uint64_t word) {
    return (((word - ONES) | word) & HIGHS) != 0;
}

/* How many bytes at the start are ASCII without NUL; there may be a few more. What is left at the end is looked at with
 * some bytes before it once more. */
static size_t skip_ascii(const char *data, size_t size) {
    size_t at = 0;
    if (size < sizeof(uint64_t)) return 0;
    while (size - at >= BLOCK && is_plain(data + at))
        at += BLOCK;
    for (; size - at >= sizeof(uint64_t); at += sizeof(uint64_t))
        if (has_other(load_word(data + at))) return at;
    return has_other(load_word(data + size - sizeof(uint64_t))) ? at : size;
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

static bool is_printable(unsigned char c) {
    return c >= 0x20 && c < 0x7F;
}

bool hf__utf8_is_printable_ascii(const char *data, size_t size) {
    if (size < sizeof(bytes)) {
        for (size_t i = 0; i < size; i++)
            if (!is_printable((unsigned char)data[i])) return false;
        return true;
    }
    bytes last = load(data + size - sizeof last), yes = (last > 0x1F) & (last != 0x7F);
    for (size_t at = 0; size - at > sizeof last; at += sizeof last) {
        bytes part = load(data + at);
        yes &= (part > 0x1F) & (part != 0x7F);
    }
    return all(yes);
}

bool hf__utf8_has_control(const char *data, size_t size) {
    const unsigned char *c = (const unsigned char *)data;
    for (size_t i = 0; i < size; i++) {
        if (c[i] < 0x20 || c[i] == 0x7F) return true;
        if (c[i] == 0xC2 && i + 1 < size && c[i + 1] >= 0x80 && c[i + 1] <= 0x9F) return true;
    }
    return false;
}
