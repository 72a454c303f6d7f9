/*
 * What the last writes told of the store: the position of the next message, and of a few conversations what a message
 * changes. One rule says when it holds: the file is as this handle's own writes left it, and each of these was an op
 * that changes nothing of it but through hf__recent_keep. So all is forgotten where anything was undone, where another
 * op succeeded or any failed, and where SQLite, asked under the write lock, says that somebody else wrote: its data
 * version then differs from the one after the last commit.
 */
#include "store/recent.h"

#include "store/stmt.h"

/* The ops that make no message, and change neither what is kept of a conversation nor whether there is one. */
static const hf__kinds harmless = HF__KIND_BIT(HF__KIND_add) | HF__KIND_BIT(HF__KIND_reserve) |
                                  HF__KIND_BIT(HF__KIND_append) | HF__KIND_BIT(HF__KIND_updateContent) |
                                  HF__KIND_BIT(HF__KIND_abort) | HF__KIND_BIT(HF__KIND_update) |
                                  HF__KIND_BIT(HF__KIND_delete) | HF__KIND_BIT(HF__KIND_markSeen) |
                                  HF__KIND_BIT(HF__KIND_createConversation);

static bool read_version(hf__store *store, uint32_t *out) {
    unsigned version = 0;
    if (sqlite3_file_control(store->db, "main", SQLITE_FCNTL_DATA_VERSION, &version) != SQLITE_OK)
        return false;
    *out = version;
    return true;
}

void hf__recent_forget(hf__store *store) {
    store->recent.known = false;
    store->recent.next = 0;
    store->recent.count = 0;
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
    bool keeps = code == HF_OK && (!hf__ops[kind].writes || (harmless & HF__KIND_BIT(kind)) != 0);
    if (!keeps) hf__recent_forget(store);
}

static struct hf__recent_one *find(const hf__recent *recent, hf_text id) {
    unsigned count = recent->count < HF__RECENT_CONVERSATIONS ? recent->count : HF__RECENT_CONVERSATIONS;
    for (unsigned i = 0; i < count; i++) {
        const struct hf__recent_one *one = &recent->conversations[i];
        if (one->size == id.size && memcmp(one->id, id.data, id.size) == 0)
            return (struct hf__recent_one *)one;
    }
    return NULL;
}

bool hf__recent_find(const hf__store *store, hf_text id, hf__growth *out, int64_t *next) {
    const struct hf__recent_one *one = store->recent.known ? find(&store->recent, id) : NULL;
    if (one == NULL || store->recent.next == 0) return false;
    *out = one->growth;
    *next = store->recent.next;
    return true;
}

void hf__recent_keep(hf__store *store, hf_text id, const hf__growth *growth, int64_t next) {
    hf__recent *recent = &store->recent;
    struct hf__recent_one *one = find(recent, id);
    recent->known = true;
    recent->next = next;
    if (one == NULL && id.size <= sizeof one->id) {
        one = &recent->conversations[recent->count++ % HF__RECENT_CONVERSATIONS];
        memcpy(one->id, id.data, id.size);
        one->size = id.size;
    }
    if (one != NULL) one->growth = *growth;
}

void hf__recent_made(hf__store *store, hf_text id, const hf__growth *growth) {
    hf__recent_keep(store, id, growth, store->recent.next);
}
