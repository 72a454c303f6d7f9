/* Contents that are blocks, flattened; what the other types of blocks mean is left to others. */
#include "base/flat.h"

#include "base/error.h"
#include "base/json.h"

static bool begins_as_list(hf_text content) {
    size_t at = 0;
    while (at < content.size && memchr(" \t\n\r", content.data[at], 4) != NULL)
        at++;
    return at < content.size && content.data[at] == '[';
}

/* The text member `key` of a block; absent where there is none. */
static hf_text member(const hf__value *block, const char *key) {
    const hf__value *value = hf__value_get(block, key);
    return value != NULL && value->type == HF__TEXT ? value->is.text : (hf_text){0};
}

int hf__flat_blocks(hf__arena *arena, hf_text content, const hf__value **blocks, hf_error *err) {
    const hf__value *list;
    *blocks = NULL;
    if (!begins_as_list(content)) return HF_OK;
    int code = hf__json_parse(arena, content, HF__JSON_DEPTH, &list, NULL);
    if (code == HF_MEMORY) return hf__fail_memory(err);
    if (code != HF_OK) return HF_OK; /* no JSON after all */
    for (const hf__value *item = list->is.items.first; item != NULL; item = item->next)
        if (item->type != HF__MAP || member(item, "type").data == NULL) return HF_OK;
    *blocks = list;
    return HF_OK;
}

/* The text of a block of type "text"; absent for any other. */
static hf_text text_of(const hf__value *block) {
    hf_text type = member(block, "type");
    bool is_text = type.size == 4 && memcmp(type.data, "text", 4) == 0;
    return is_text ? member(block, "text") : (hf_text){0};
}

int hf__flat_join(hf__arena *arena, const hf__value *blocks, hf_text *out, hf_error *err) {
    size_t size = 0;
    for (const hf__value *block = blocks->is.items.first; block != NULL; block = block->next)
        if (text_of(block).data != NULL) size += text_of(block).size + 1;
    char *flat = hf__arena_alloc(arena, size + 1);
    *out = (hf_text){0};
    if (flat == NULL) return hf__fail_memory(err);
    char *end = flat;
    bool any = false;
    for (const hf__value *block = blocks->is.items.first; block != NULL; block = block->next) {
        hf_text text = text_of(block);
        if (text.data == NULL) continue;
        if (any) *end++ = '\n';
        any = true;
        memcpy(end, text.data, text.size);
        end += text.size;
    }
    *out = (hf_text){flat, (size_t)(end - flat)};
    return HF_OK;
}

int hf__flat_text(hf__arena *arena, hf_text content, hf_text *out, hf_error *err) {
    const hf__value *blocks;
    int code = hf__flat_blocks(arena, content, &blocks, err);
    *out = code == HF_OK ? content : (hf_text){0};
    return code == HF_OK && blocks != NULL ? hf__flat_join(arena, blocks, out, err) : code;
}
