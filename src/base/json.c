/*
 * JSON in, in three steps. The guard, in json_guard.c, refuses what could not be kept exactly. cJSON then builds its tree, of which we want the unescaped strings. The build walks that tree
 * and the text in lockstep into values with exact numbers and the bytes that each was read from. What the
 * guard let through cJSON accepts, so that the only failure it has left is want of memory.
 *
 * Recursion goes as deep as the text nests, which the guard bounds. What a value means to an op is left to
 * others; json_write.c writes.
 */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json_guard.h"
#include "base/utf8.h"

enum {
    FEW_KEYS = 8,   /* so many are compared pairwise, more are sorted */
    KEY_SHOWN = 64, /* bytes of a key in a message */
};

_Static_assert(HF__JSON_DEPTH <= CJSON_NESTING_LIMIT, "cJSON reads less deep");

typedef hf__json_reader reader;

/* ---- The build: the text has passed the guard, so that nothing here checks it again ------------ */

static const char *here(const reader *r) {
    return r->json.data + r->at;
}

static void skip_between(reader *r) {
    while (hf__json_is_space(*here(r)) || *here(r) == ',' || *here(r) == ':')
        r->at++;
}

static void skip_string(reader *r) {
    for (r->at++; *here(r) != '"'; r->at++)
        if (*here(r) == '\\') r->at++;
    r->at++;
}

/* A number, or true, false, null. */
static void skip_word(reader *r) {
    for (int c = hf__json_peek(r); c >= 0 && !hf__json_is_space(c) && c != ',' && c != ']' && c != '}';
         c = hf__json_peek(r))
        r->at++;
}

static hf_text text_to(const char *start, const char *end) {
    hf_text text = {start, (size_t)(end - start)};
    return text;
}

/* Where the member, or item, behind `previous` (NULL: the first) begins: at its key. */
static const char *member_start(const hf__value *map, const hf__value *previous) {
    const char *c = previous != NULL ? previous->raw.data + previous->raw.size : map->raw.data + 1;
    while (hf__json_is_space(*c) || *c == ',')
        c++;
    return c;
}

static int refuse_duplicate(const reader *r, const hf__value *map, const hf__value *member) {
    const hf__value *previous = map->is.items.first;
    while (previous->next != member)
        previous = previous->next;
    char found[KEY_SHOWN + 32];
    int shown = (int)hf__utf8_cut(member->key.data, member->key.size, KEY_SHOWN);
    snprintf(found, sizeof found, "the key \"%.*s\" again", shown, member->key.data);
    return hf__json_refuse(r, (size_t)(member_start(map, previous) - r->json.data), found, "each key once");
}

static int check_keys(const reader *r, const hf__value *map) {
    if (map->is.items.count <= FEW_KEYS) {
        for (const hf__value *b = map->is.items.first; b != NULL; b = b->next)
            for (const hf__value *a = map->is.items.first; a != b; a = a->next)
                if (hf__value_compare_keys(a, b) == 0) return refuse_duplicate(r, map, b);
        return HF_OK;
    }
    const hf__value **members = hf__value_sorted(r->arena, map);
    if (members == NULL) return hf__fail_memory(r->err);
    for (size_t i = 1; i < map->is.items.count; i++) {
        const hf__value *a = members[i - 1], *b = members[i];
        if (hf__value_compare_keys(a, b) == 0)
            return refuse_duplicate(r, map, a->raw.data > b->raw.data ? a : b);
    }
    return HF_OK;
}

static int build(reader *r, const cJSON *item, hf__value *value);

static int build_items(reader *r, const cJSON *item, hf__value *parent) {
    r->at++;
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        hf__value *value = hf__value_new(r->arena, HF__NULL);
        if (value == NULL) return hf__fail_memory(r->err);
        skip_between(r);
        if (child->string != NULL) {
            value->key = hf__arena_text(r->arena, hf_text_of(child->string));
            if (value->key.data == NULL) return hf__fail_memory(r->err);
            skip_string(r);
            skip_between(r);
        }
        int code = build(r, child, value);
        if (code != HF_OK) return code;
        hf__value_append(parent, value);
    }
    skip_between(r);
    r->at++;
    return HF_OK;
}

/* Fills `value` from the item, and moves the reader past its text. */
static int build(reader *r, const cJSON *item, hf__value *value) {
    const char *start = here(r);
    int code = HF_OK;
    if (cJSON_IsArray(item) || cJSON_IsObject(item)) {
        value->type = cJSON_IsArray(item) ? HF__LIST : HF__MAP;
        code = build_items(r, item, value);
    } else if (cJSON_IsString(item)) {
        value->type = HF__TEXT;
        value->is.text = hf__arena_text(r->arena, hf_text_of(item->valuestring));
        if (value->is.text.data == NULL) code = hf__fail_memory(r->err);
        skip_string(r);
    } else {
        skip_word(r);
        if (cJSON_IsNumber(item)) {
            hf__json_number(start, (size_t)(here(r) - start), value);
        } else if (cJSON_IsBool(item)) {
            value->type = HF__BOOL;
            value->is.boolean = cJSON_IsTrue(item);
        }
    }
    value->raw = text_to(start, here(r));
    return code == HF_OK && value->type == HF__MAP ? check_keys(r, value) : code;
}

/* ---- Reading ----------------------------------------------------------------------------------- */

int hf__json_parse(hf__arena *arena, hf_text json, size_t max_depth, const hf__value **out, hf_error *err) {
    if (max_depth > HF__JSON_DEPTH) max_depth = HF__JSON_DEPTH;
    reader r = {.json = json, .max_depth = max_depth, .arena = arena, .err = err};
    *out = NULL;
    int code = hf__json_guard(&r);
    if (code != HF_OK) return code;

    hf__value *value = hf__value_new(arena, HF__NULL);
    cJSON *tree = value != NULL ? cJSON_ParseWithLengthOpts(json.data, json.size, NULL, 0) : NULL;
    if (tree == NULL) return hf__fail_memory(err);
    r.at = 0;
    hf__json_skip_space(&r);
    code = build(&r, tree, value);
    cJSON_Delete(tree);
    if (code == HF_OK) *out = value;
    return code;
}

static int parse_object(hf__arena *arena, hf_text json, size_t max_depth, const hf__value **out,
                        hf_error *err) {
    int code = hf__json_parse(arena, json, max_depth, out, err);
    if (code != HF_OK || (*out)->type == HF__MAP) return code;
    reader r = {.json = json, .err = err};
    return hf__json_refuse(&r, (size_t)((*out)->raw.data - json.data), hf__type_name((*out)->type),
                           "an object");
}

/* Guards a text; `out` then tells its members where it is an object of plain keys. */
static int outline(hf_text json, size_t max_depth, hf__json_outline *out, hf_error *err) {
    if (max_depth > HF__JSON_DEPTH) max_depth = HF__JSON_DEPTH;
    out->tells = true;
    out->count = 0;
    reader r = {.json = json, .max_depth = max_depth, .outline = out, .err = err};
    int code = hf__json_guard(&r);
    r.at = 0;
    hf__json_skip_space(&r);
    if (hf__json_peek(&r) != '{') out->tells = false;
    return code;
}

int hf__json_check_object(hf_text json, size_t max_depth, hf_error *err) {
    hf__arena arena = {0};
    hf__json_outline seen;
    const hf__value *value;
    int code = outline(json, max_depth, &seen, err);
    if (code != HF_OK || seen.tells) return code;
    code = parse_object(&arena, json, max_depth, &value, err);
    hf__arena_free(&arena);
    return code;
}

/* ---- Merging ----------------------------------------------------------------------------------- */

/* Copies `base` from its start to the end of its last member, with other values where `updates` has them, then
 * the new members, then the end of `base`. */
static int merge(hf__buf *buf, hf__arena *arena, const hf__value *base, const hf__value *updates,
                 hf_error *err) {
    const hf__value **base_members = hf__value_sorted(arena, base);
    const hf__value **update_members = hf__value_sorted(arena, updates);
    if (base_members == NULL || update_members == NULL) return hf__fail_memory(err);
    size_t base_count = base->is.items.count, update_count = updates->is.items.count;

    const char *done = base->raw.data, *end = done + base->raw.size;
    for (const hf__value *item = base->is.items.first; item != NULL; item = item->next) {
        const hf__value *update = hf__value_find(update_members, update_count, item);
        hf__buf_text(buf, text_to(done, item->raw.data));
        hf__buf_text(buf, update != NULL ? update->raw : item->raw);
        done = item->raw.data + item->raw.size;
    }
    if (base_count == 0) hf__buf_char(buf, *done++);

    bool first = base_count == 0;
    const hf__value *previous = NULL;
    for (const hf__value *item = updates->is.items.first; item != NULL; previous = item, item = item->next) {
        if (hf__value_find(base_members, base_count, item) != NULL) continue;
        if (!first) hf__buf_char(buf, ',');
        first = false;
        hf__buf_text(buf, text_to(member_start(updates, previous), item->raw.data + item->raw.size));
    }
    hf__buf_text(buf, text_to(done, end));
    return HF_OK;
}

static const hf__json_member *find_member(const hf__json_outline *in, hf_text key) {
    for (size_t i = 0; i < in->count; i++)
        if (hf__json_same_key(in->members[i].key, key)) return &in->members[i];
    return NULL;
}

static const char *end_of(hf_text text) {
    return text.data + text.size;
}

/* The same by the outlines of both, without a tree. */
static void merge_outlines(hf__buf *buf, hf_text base, const hf__json_outline *from,
                           const hf__json_outline *with) {
    const char *done = memchr(base.data, '{', base.size), *end = end_of(base);
    while (end[-1] != '}')
        end--;
    for (size_t i = 0; i < from->count; i++) {
        const hf__json_member *item = &from->members[i], *update = find_member(with, item->key);
        hf__buf_text(buf, text_to(done, item->raw.data));
        hf__buf_text(buf, update != NULL ? update->raw : item->raw);
        done = end_of(item->raw);
    }
    bool first = from->count == 0;
    if (first) hf__buf_char(buf, *done++);
    for (size_t i = 0; i < with->count; i++) {
        const hf__json_member *item = &with->members[i];
        if (find_member(from, item->key) != NULL) continue;
        if (!first) hf__buf_char(buf, ',');
        first = false;
        hf__buf_text(buf, text_to(item->key.data, end_of(item->raw)));
    }
    hf__buf_text(buf, text_to(done, end));
}

int hf__json_merge(hf__buf *buf, hf_text base, hf_text updates, size_t max_depth, hf_error *err) {
    hf__arena arena = {0};
    hf__json_outline outlines[2];
    const hf__value *from, *with;
    if (base.data == NULL) base = hf_text_of("{}");
    int code = outline(base, max_depth, &outlines[0], err);
    if (code == HF_OK) code = outline(updates, max_depth, &outlines[1], err);
    if (code != HF_OK) return code;
    if (outlines[0].tells && outlines[1].tells) {
        merge_outlines(buf, base, &outlines[0], &outlines[1]);
        return HF_OK;
    }
    code = parse_object(&arena, base, max_depth, &from, err);
    if (code == HF_OK) code = parse_object(&arena, updates, max_depth, &with, err);
    if (code == HF_OK) code = merge(buf, &arena, from, with, err);
    hf__arena_free(&arena);
    return code;
}
