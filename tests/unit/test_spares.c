/* The small blocks that a state keeps: that memory is what was asked for, whatever its way, and that what is kept has a
 * bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "script/spares.h"

enum { SLOTS = 64, STEPS = 20000, LARGEST = 5000 };

static size_t kept_in(const hf__spares *spares) {
    size_t kept = 0;
    for (size_t list = 0; list < HF__SPARE_SIZES; list++)
        for (const hf__spare *block = spares->of_size[list]; block != NULL; block = block->next)
            kept += (list + 1) * HF__SPARE_GRAIN;
    return kept;
}

static void assert_filled(const unsigned char *memory, size_t size, unsigned char with) {
    for (size_t i = 0; i < size; i++)
        if (memory[i] != with) fail_msg("byte %zu of %zu is another's", i, size);
}

static void blocks_hold_what_was_put_there_through_all_sizes(void **state) {
    (void)state;
    hf__spares spares = {0};
    unsigned char *memory[SLOTS] = {NULL};
    size_t sizes[SLOTS] = {0};
    uint32_t random = 1;
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525 + 1013904223;
        size_t slot = random >> 26, size = (random >> 8) % (random % 2 == 0 ? 100 : LARGEST);
        unsigned char with = (unsigned char)(slot + 1);
        assert_filled(memory[slot], sizes[slot], with);
        if (memory[slot] != NULL && size == 0) {
            hf__spares_give(&spares, memory[slot], sizes[slot]);
            memory[slot] = NULL;
        } else if (memory[slot] != NULL) {
            memory[slot] = hf__spares_resize(&spares, memory[slot], sizes[slot], size);
            assert_filled(memory[slot], size < sizes[slot] ? size : sizes[slot], with);
        } else if (size > 0) {
            memory[slot] = hf__spares_take(&spares, size);
        }
        sizes[slot] = memory[slot] != NULL ? size : 0;
        if (size > 0) memset(memory[slot], with, size);
        assert_int_equal(kept_in(&spares), spares.kept);
    }
    for (size_t slot = 0; slot < SLOTS; slot++)
        if (memory[slot] != NULL) hf__spares_give(&spares, memory[slot], sizes[slot]);
    hf__spares_free(&spares);
    assert_int_equal(kept_in(&spares), 0);
}

static void what_is_kept_has_a_bound(void **state) {
    (void)state;
    enum { BLOCKS = 20000, SIZE = 100 };
    hf__spares spares = {0};
    void **blocks = calloc(BLOCKS, sizeof *blocks);
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = hf__spares_take(&spares, SIZE);
    for (size_t i = 0; i < BLOCKS; i++)
        hf__spares_give(&spares, blocks[i], SIZE);
    free(blocks);
    size_t most = HF__MOST_SPARE; /* 0 where sanitizers look on */
    assert_in_range(kept_in(&spares), most / 2, most);
    hf__spares_free(&spares);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_hold_what_was_put_there_through_all_sizes),
        cmocka_unit_test(what_is_kept_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
