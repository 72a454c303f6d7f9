/* An op that outlives the call that it came by: a copy of it, and of all that it shows. */
#include <string.h>

#include "base/error.h"
#include "op/record.h"

/* Copies the text that stands at `member`. Whether memory sufficed. */
static bool copy_text(hf__arena *arena, void *member) {
    hf_text *text = member;
    if (text->data == NULL) return true;
    *text = hf__arena_text(arena, *text);
    return text->data != NULL;
}

static bool copy_states(hf__arena *arena, hf_op *op) {
    if (op->states == NULL) return true;
    hf_text *states = hf__arena_array(arena, op->states_count, sizeof *states);
    if (states == NULL) return false;
    for (size_t i = 0; i < op->states_count; i++) {
        states[i] = op->states[i];
        if (!copy_text(arena, &states[i])) return false;
    }
    op->states = states;
    return true;
}

static bool copy_record(hf__arena *arena, const hf__record *record, void *base) {
    for (size_t i = 0; i < record->count; i++) {
        void *member = (char *)base + record->fields[i].offset;
        switch (record->fields[i].type) {
        case HF__T_ID:
        case HF__T_ROLE:
        case HF__T_TEXT:
        case HF__T_CONTENT:
        case HF__T_OBJECT:
            if (!copy_text(arena, member)) return false;
            break;
        case HF__T_STATES:
            if (!copy_states(arena, base)) return false;
            break;
        default: break; /* numbers came along with the struct; a batch's ops are copied one by one */
        }
    }
    return true;
}

static bool copy_context(hf__arena *arena, hf_op *op) {
    if (op->context == NULL) return true;
    hf_context *context = hf__arena_alloc(arena, sizeof *context);
    if (context == NULL) return false;
    *context = *op->context;
    op->context = context;
    return copy_record(arena, &hf__context_record, context) && copy_text(arena, &context->extras);
}

static bool copy(hf__arena *arena, hf_op *op) {
    const hf__op_def *def = hf__op_find(op->op, strlen(op->op));
    op->op = def->name;
    if (!copy_record(arena, &def->fields, op) || !copy_context(arena, op)) return false;
    if (op->ops == NULL) return true;
    hf_op *ops = hf__arena_array(arena, op->ops_count, sizeof *ops);
    if (ops == NULL) return false;
    for (size_t i = 0; i < op->ops_count; i++) {
        ops[i] = op->ops[i];
        if (!copy(arena, &ops[i])) return false;
    }
    op->ops = ops;
    return true;
}

int hf__op_copy(hf__arena *arena, const hf_op *op, hf_op *out, hf_error *err) {
    *out = *op;
    return copy(arena, out) ? HF_OK : hf__fail_memory(err);
}
