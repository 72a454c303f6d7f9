/*
 * What the last writes told of the store: the position of the next message, of the last conversations what a message
 * changes, and where a few streams end. One rule says when it holds: the file is as this handle's own writes left it, and
 * each of these was an op that changes nothing of it but through hf__recent_keep and its siblings. So all is forgotten
 * where anything was undone, where another op succeeded or any failed, and where SQLite, asked under the write lock, says
 * that somebody else wrote: its data version then differs from the one after the last commit.
 */
#include "store/recent.h"

#include "store/stmt.h"

/* The ops that change no stream but their own, and of conversations only what is kept: there may be new ones. */
static const hf__kinds harmless = HF__KIND_BIT(HF__KIND_add) | HF__KIND_BIT(HF__KIND_reserve) |
                                  HF__KIND_BIT(HF__KIND_append) | HF__KIND_BIT(HF__KIND_update) |
                                  HF__KIND_BIT(HF__KIND_markSeen) | HF__KIND_BIT(HF__KIND_createConversation);

/* Those that end streams, and are as harmless otherwise. */
static const hf__kinds ending =
    HF__KIND_BIT(HF__KIND_updateContent) | HF__KIND_BIT(HF__KIND_abort) | HF__KIND_BIT(HF__KIND_delete);

/* ---- When it holds ----------------------------------------------------------------------------- */

static bool read_version(hf__store *store, uint32_t *out) {
    unsigned version = 0;
    if (sqlite3_file_control(store->db, "main", SQLITE_FCNTL_DATA_VERSION, &version) != SQLITE_OK)
        return false;
    *out = version;
    return true;
}

void hf__recent_forget(hf__store *store) {
    hf__recent *recent = &store->recent;
    recent->known = recent->times = false;
    recent->next = 0;
    recent->conversations.since++;
    recent->streams.since++;
}

void hf__recent_begin(hf__store *store, bool writes) {
    uint32_t version;
    store->recent.writing = writes;
    if (!writes || !store->recent.known) return;
    if (!read_version(store, &version) || version != store->recent.version) hf__recent_forget(store);
}

void hf__recent_commit(hf__store *store) {
    if (store->recent.writing && store->recent.known && !read_version(store, &store->recent.version))
        hf__recent_forget(store);
    store->recent.writing = false;
}

void hf__recent_after(hf__store *store, hf__kind kind, int code) {
    hf__kinds bit = HF__KIND_BIT(kind);
    bool keeps = code == HF_OK && (!hf__ops[kind].writes || ((harmless | ending) & bit) != 0);
    if (!keeps)
        hf__recent_forget(store);
    else if ((ending & bit) != 0)
        store->recent.streams.since++;
}

/* ---- What is kept ------------------------------------------------------------------------------ */

/* FNV-1a: ids that are alike are spread. */
static unsigned set_of(hf_text id) {
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < id.size; i++)
        hash = (hash ^ (unsigned char)id.data[i]) * UINT32_C(16777619);
    return (hash ^ hash >> 16) % HF__RECENT_SETS;
}

static const hf__recent_one *find_in(const hf__recent_list *list, unsigned set, hf_text id) {
    for (unsigned i = 0; i < HF__RECENT_IN_SET; i++) {
        const hf__recent_one *one = &list->sets[set].ones[i];
        if (one->since == list->since && one->size == id.size && memcmp(one->id, id.data, id.size) == 0)
            return one;
    }
    return NULL;
}

static const hf__recent_one *find(const hf__recent_list *list, hf_text id) {
    return id.size <= HF__RECENT_ID ? find_in(list, set_of(id), id) : NULL;
}

/* The place for what is known under an id; NULL for one that is too long. */
static hf__recent_one *put(hf__recent_list *list, hf_text id) {
    if (id.size > HF__RECENT_ID) return NULL;
    unsigned set = set_of(id);
    hf__recent_one *ones = list->sets[set].ones;
    const hf__recent_one *found = find_in(list, set, id);
    if (found != NULL) return &ones[found - ones];
    hf__recent_one *one = &ones[list->sets[set].next++ % HF__RECENT_IN_SET];
    one->since = list->since;
    one->size = id.size;
    memcpy(one->id, id.data, id.size);
    return one;
}

bool hf__recent_find(const hf__store *store, hf_text id, hf__growth *out, int64_t *next) {
    const hf__recent *recent = &store->recent;
    const hf__recent_one *one = recent->next != 0 ? find(&recent->conversations, id) : NULL;
    if (one == NULL) return false;
    *out = one->is.growth;
    *next = recent->next;
    return true;
}

void hf__recent_keep(hf__store *store, hf_text id, const hf__growth *growth, int64_t next) {
    hf__recent *recent = &store->recent;
    hf__recent_one *one = put(&recent->conversations, id);
    if (one != NULL) one->is.growth = *growth;
    recent->known = recent->times = true;
    recent->next = next;
}

void hf__recent_made(hf__store *store, hf_text id, const hf__growth *growth) {
    hf__recent_keep(store, id, growth, store->recent.next);
}

bool hf__recent_find_stream(const hf__store *store, hf_text id, hf__stream *out) {
    const hf__recent_one *one = find(&store->recent.streams, id);
    if (one != NULL) *out = one->is.stream;
    return one != NULL;
}

void hf__recent_keep_stream(hf__store *store, hf_text id, const hf__stream *stream) {
    hf__recent_one *one = put(&store->recent.streams, id);
    if (one != NULL) one->is.stream = *stream;
    store->recent.known = true;
}
