/*
 * holdfast.h - keep conversations in SQLite, behind middleware written in Lua.
 *
 * Holdfast is a library for programs that hold conversations: agent loops, chat servers, bots. A
 * *store* is one SQLite file with a *chain* of middleware. Every request is an *op* - data, such as
 * {op = "add", conversationId = "c1", role = "user", content = "hello"} - that passes the layers of
 * the chain, outermost first, and is then answered by the *terminal*, which keeps it. Whatever the
 * layers and the terminal write for one op is undone together where it fails, and committed before it is answered.
 *
 * Rules that hold for every function here
 *
 * - Text is UTF-8 without NUL, handed over as pointer and length (hf_text). Text that is handed in
 *   is borrowed for the length of the call and copied where it has to last.
 * - A function that can fail returns HF_OK (0) or an hf_code, and describes the failure in the
 *   caller's hf_error; the hf_error may be NULL where nobody wants to know. Nothing is allocated to
 *   report an error, there is no "last error", and out parameters are left empty.
 * - Any function that allocates may fail with HF_MEMORY.
 * - A destructor accepts NULL, or an emptied struct, and does nothing.
 * - A store may be used from any number of threads at once; each function says so where it differs.
 * - The library never prints, exits, aborts, installs signal handlers or touches the locale. What it
 *   has to say goes to the host's log function.
 * - A process must not contain two copies of SQLite that open the same file: the POSIX locks of one
 *   copy are dropped by the other. Link the system's SQLite everywhere.
 * - Writers that wait for each other share a transaction and its commit; reads that no layer wants go on beside them.
 *   hf_exec says what that means.
 * - Where a store has grown its WAL past 8 MiB, a thread of the library's own brings it into the database, for all
 *   stores of this process on that file; no call waits for that, unless the disk is slower than the writers or a WAL
 *   that is in use without a pause has to be begun anew. All signals are blocked on it. A child of fork that wants a
 *   store of its own should exec first: what another thread had locked in fork stays locked in the child.
 * - Threads that call into a store need a stack of at least 1 MiB where Lua layers run.
 */
#ifndef HOLDFAST_H
#define HOLDFAST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_VERSION_MAJOR 0
#define HF_VERSION_MINOR 1
#define HF_VERSION_PATCH 0
#define HF_VERSION "0.1.0"

#if defined(HF_BUILDING) && defined(__GNUC__)
#define HF_API __attribute__((visibility("default")))
#else
#define HF_API
#endif

/* The version of the library that runs, "MAJOR.MINOR.PATCH"; compare it with HF_VERSION, the version
 * of this header. Static storage. Since 0.1. */
HF_API const char *hf_version(void);

/* ---- Text -------------------------------------------------------------------------------------- */

/* A piece of text: `size` bytes of UTF-8 at `data`, no terminating NUL needed. data == NULL says that
 * the text is absent; an empty text has data != NULL and size 0. Text in results is followed by a NUL
 * byte, which `size` does not count. */
typedef struct hf_text {
    const char *data;
    size_t size;
} hf_text;

/* The text of a C string; absent for NULL. */
static inline hf_text hf_text_of(const char *string) {
    hf_text text;
    text.data = string;
    text.size = string != NULL ? strlen(string) : 0;
    return text;
}

/* ---- Errors ------------------------------------------------------------------------------------ */

/* Every code: its symbol, its name in Lua and JSON, and what the host should do about it. After HF_UNKNOWN only an op
 * whose ids are known can be asked again: see hf_exec for batches. */
#define HF_CODE_MAP(XX)                                                                         \
    XX(INVALID, "invalid", "mend the op")                                                       \
    XX(NOT_FOUND, "notFound", "look at the state of what the op names")                         \
    XX(CONFLICT, "conflict", "look at the state of what the op names")                          \
    XX(DENIED, "denied", "do as the layer that refused says")                                   \
    XX(LAYER, "layer", "do as the layer says: the code is its own, and hf_error.name bears it") \
    XX(MIDDLEWARE, "middleware", "mend the layer: it raised an error")                          \
    XX(BAD_RESULT, "badResult", "mend the layer: its result does not fit the op")               \
    XX(TIMEOUT, "timeout", "mend the layer: it went past its time or instruction budget")       \
    XX(MEMORY, "memory", "mend the layer, or give the process more memory")                     \
    XX(DEPTH, "depth", "mend the layer: it nested too deep")                                    \
    XX(BUSY, "busy", "try again later: another process holds the store; nothing was stored")    \
    XX(IO, "io", "look at the disk; nothing was stored")                                        \
    XX(FULL, "full", "make room on the disk; nothing was stored")                               \
    XX(READONLY, "readonly", "look at the file's permissions; nothing was stored")              \
    XX(CORRUPT, "corrupt", "restore a backup: the file is damaged or not a store")              \
    XX(UNKNOWN, "unknown", "ask again with the same id: the disk failed in the act")            \
    XX(CLOSED, "closed", "mend the host: the store is closed")                                  \
    XX(MISUSE, "misuse", "mend the host: a rule of this header was broken")                     \
    XX(INTERNAL, "internal", "report a defect of Holdfast")

typedef enum hf_code {
    HF_OK = 0,
#define XX(symbol, name, advice) HF_##symbol,
    HF_CODE_MAP(XX)
#undef XX
} hf_code;

/* The name of a code as Lua and JSON spell it, "ok" for HF_OK, NULL for a number that is no code.
 * Static storage. Since 0.1. */
HF_API const char *hf_code_name(int code);

/* What went wrong. Filled by the function that failed, owned by the caller, never allocated; all
 * strings end in NUL, are cut at a UTF-8 boundary where they would not fit, and are empty where they
 * do not apply. */
typedef struct hf_error {
    int code;             /* an hf_code */
    int sqlite_code;      /* SQLite's extended result code, 0 where SQLite had no part in it */
    char name[64];        /* the code's name; for HF_LAYER the layer's own code */
    char layer[64];       /* the layer that caused it, where it can be known */
    char op[32];          /* the op that failed; of a batch, "batch" */
    char message_id[132]; /* the message a failed write was about: its id may be asked for again */
    char message[768];    /* what was wrong, where, and what was expected; one line. Of an op within a
                             batch it begins with "ops[N]: ", N from 0 */
    char traceback[1536]; /* Lua's traceback, for errors that a Lua layer raised */
} hf_error;

/* ---- Ops --------------------------------------------------------------------------------------- */

/* A choice between a default, yes and no, so that zero always means the default. */
typedef enum hf_flag { HF_DEFAULT = 0, HF_YES = 1, HF_NO = -1 } hf_flag;

/* What the host says about the caller of an op. Layers read it as `ctx`; it is never stored. Zero and
 * absent fields are not shown to the layers. */
typedef struct hf_context {
    hf_text request_id;
    hf_text conversation_id;
    int64_t turn_index; /* 0 for none */
    hf_text trust;
    hf_text extras; /* a JSON object: whatever else the layers should see, under keys other than the above */
} hf_context;

/*
 * The life of an anchor, a message that was reserved and is not final yet:
 *
 *   reserve: reserved, its content reads as "[]"
 *     append, append, ...: streaming, its content reads as the deltas so far
 *       updateContent: final, with that content; the deltas are dropped
 *       abort: aborted, with what was streamed
 *       its owner died: interrupted, with what was streamed
 *
 * - `append` costs in proportion to its delta. `result.length` counts the bytes of content that are as durable as the
 *   store's durability says; `result.held` those that a layer took and holds back, promised only once a later op lets
 *   them out. A delta may be empty.
 * - `seq` makes appends exact: the next number is stored; the last one again, with the same delta, is answered and not
 *   stored; any other fails with HF_CONFLICT and says which was expected. A message has room for 16,777,215 deltas.
 * - Only the handle that reserved a message, its owner, may append to it; any handle may abort or finalise it. An
 *   owner lives as long as its handle is open, proved by a lock on a file beside the store's; the anchors of one that
 *   died become interrupted when the store is opened, and when a write meets one. HF_CONFLICT: an append to a
 *   message that is final, aborted or interrupted, or another's; an abort of a final one.
 * - `updateContent` makes a message final from any state. Of a final one it is an edit.
 * - `read` gives the deltas behind `after_seq`, what a client that saw so many has missed, until the message is
 *   final; then only the state and the last seq.
 *
 * What messages feed once they are final:
 *
 * - Search, by the text of the content: of a list of blocks, [{"type":"text","text":...},...], the texts of those of
 *   type "text"; any other content as it is. `skip_indexing` and `index` HF_NO leave it out. `query` is words that
 *   must all occur, or the query syntax of SQLite's FTS5 without column filters: "a phrase", prefix*, ^first, a AND b,
 *   OR, NOT, NEAR(a b, 5), parentheses; at most 4096 bytes and 64 words, of which those that stand again side by side
 *   count once. HF_INVALID names the place of what it cannot read. A message that is indexed has one segment, whose id
 *   is its own.
 * - Attention: `unseen` says that a message of the role "assistant" became final since `markSeen`, or that the newest
 *   one is newer than the message that was marked. `markSeen` without a message takes the newest final one; with one it
 *   may also go back.
 * - The disk view, of an `add` with `sync_to_disk`: see hf_options.view_dir.
 *
 * `fork` copies the final messages of a conversation, through one of them, into a new conversation: new ids and times,
 * the metadata of each copy names its `forkSourceMessageId`. HF_CONFLICT: that message is not final. HF_DENIED: the
 * metadata of the conversation has "private": true. A fork that is asked for again is another fork.
 *
 * What is there already is answered as it is now, and nothing of the op is stored:
 *
 * - `createConversation` of an id that exists gives that conversation. The title, the channel and the metadata of the op
 *   are not compared with its own: `updateConversation` changes them. Nothing says that it was there.
 * - `add` and `reserve` give the message of that `client_message_id` in the conversation, else of that `message_id`,
 *   with `deduplicated`. Nothing else of the op is compared, but for HF_CONFLICT: the message of that `message_id` has
 *   another role, or another conversation.
 */

/*
 * One request. Zero the struct, name the op, set the fields that the op has; a field that the op does
 * not have must stay zero. In JSON and Lua the same fields are spelt in camelCase.
 *
 *   op                  fields (? optional)                                           result
 *   createConversation  conversation_id? title? origin_channel? metadata?             conversation
 *   updateConversation  conversation_id title? origin_channel? updates?               conversation
 *   deleteConversation  conversation_id                                               deleted_messages, segment_ids
 *   add                 conversation_id role content message_id? metadata?            message, deduplicated
 *                       client_message_id? skip_indexing? sync_to_disk?
 *                       created_at_ms?
 *   reserve             conversation_id role message_id? metadata?                    message, deduplicated
 *                       client_message_id?
 *   append              message_id delta seq?                                         seq, length, held
 *   updateContent       message_id content index?                                     -
 *   abort               message_id reason?                                            message
 *   update              message_id updates                                            -
 *   delete              message_id                                                    deleted, segment_ids,
 *                                                                                     deleted_summary_ids
 *   markSeen            conversation_id message_id?                                   attention
 *   fork                conversation_id through_message_id? title?                    conversation
 *   batch               ops                                                           results
 *   get                 message_id                                                    message, or none
 *   list                conversation_id limit? before? after? states?                 messages, has_more
 *   read                message_id after_seq?                                         deltas, state, seq
 *   search              query conversation_id? limit?                                 hits
 *   getConversation     conversation_id                                               conversation, or none
 *   listConversations   limit? before?                                                conversations, has_more
 */
typedef struct hf_op {
    const char *op;            /* the op's name, "add" for instance, ending in NUL */
    const hf_context *context; /* borrowed; NULL for none. Inside a batch: NULL, the batch's holds */

    hf_text conversation_id;   /* 1 to 128 bytes without control characters, like every id */
    hf_text message_id;        /* minted (UUID version 7) where `add` and `reserve` leave it out */
    hf_text client_message_id; /* unique in its conversation; makes `add` and `reserve` idempotent */
    hf_text role;              /* any text of 1 to 64 bytes */
    hf_text content;           /* any text, at most hf_options.max_content bytes */
    hf_text metadata;          /* a JSON object, kept byte for byte */
    hf_text updates;           /* a JSON object whose keys replace the metadata's of the same name */
    hf_text title;
    hf_text origin_channel;
    hf_text delta;              /* what a stream brought; text of any length, "" included */
    hf_text reason;             /* kept as `abortReason` in the message's metadata */
    hf_text query;              /* words, or FTS5 query syntax: see above */
    hf_text through_message_id; /* fork: the last message to copy; default: the newest */
    hf_text before;             /* list: a message id; listConversations: a conversation id */
    hf_text after;              /* list: a message id */
    const hf_text *states;      /* list: only messages in these states ("final", "reserved", ...) */
    size_t states_count;
    int64_t limit;           /* how many rows at most; 0 for the op's default: 100, of search 20 */
    int64_t seq;             /* append: the number of the delta, from 1; 0 for the next one */
    int64_t after_seq;       /* read: only deltas behind this one; `after` in JSON and Lua */
    int64_t created_at_ms;   /* the conversation's creation time for the disk view, ms since 1970 */
    hf_flag index;           /* default: yes */
    hf_flag skip_indexing;   /* default: no. In JSON and Lua: addOptions.skipIndexing */
    hf_flag sync_to_disk;    /* default: no */
    const struct hf_op *ops; /* the writes of a batch, no batch among them. Those that make rows need ids of
                                the host's own where it may be repeated after HF_UNKNOWN */
    size_t ops_count;
} hf_op;

/* The name of the op at `index` in the list of ops, NULL past its end; and whether an op writes
 * (1), reads (0), or does not exist (-1). For hosts and tests that walk the list. Since 0.1. */
HF_API const char *hf_op_name(size_t index);
HF_API int hf_op_writes(const char *op);

/* ---- Results ----------------------------------------------------------------------------------- */

/* The state of a message: symbol and name. */
#define HF_STATE_MAP(XX)       \
    XX(FINAL, "final")         \
    XX(RESERVED, "reserved")   \
    XX(STREAMING, "streaming") \
    XX(ABORTED, "aborted")     \
    XX(INTERRUPTED, "interrupted")

typedef enum hf_state {
    HF_STATE_ABSENT = 0,
#define XX(symbol, name) HF_STATE_##symbol,
    HF_STATE_MAP(XX)
#undef XX
} hf_state;

typedef struct hf_message {
    hf_text id;
    hf_text conversation_id;
    hf_text role;
    hf_text content;
    int64_t created_at; /* ms since 1970, strictly increasing within the conversation */
    hf_state state;
    hf_text metadata; /* absent, or a JSON object: the bytes that were stored */
    hf_text client_message_id;
} hf_message;

/* Whether a conversation's newest answer was seen. */
typedef struct hf_attention {
    hf_text latest_assistant_message_id; /* the newest final message of the role "assistant" */
    int64_t latest_assistant_at;         /* its created_at; 0 where there is none */
    hf_text last_seen_message_id;        /* where markSeen put it */
    int unseen;                          /* an answer became final that was not seen yet */
} hf_attention;

typedef struct hf_conversation {
    hf_text id;
    hf_text title;
    hf_text origin_channel;
    int64_t created_at;      /* ms since 1970 */
    int64_t updated_at;      /* ms since 1970 */
    int64_t last_message_at; /* ms since 1970; 0 while there is no message */
    hf_text metadata;
    hf_attention *attention;             /* NULL where it has no answer, and none was marked as seen */
    hf_text fork_parent_conversation_id; /* of a fork: where it came from */
    hf_text fork_parent_message_id;
} hf_conversation;

/* One delta of a stream. */
typedef struct hf_delta {
    int64_t seq; /* from 1 */
    hf_text delta;
} hf_delta;

/* One message that a search found. */
typedef struct hf_hit {
    hf_message *message;
    hf_text snippet; /* up to 16 words, or 1 KiB; the finds in [brackets], … where the text goes on */
    double score;    /* the higher the better */
} hf_hit;

/* The answer to an op: the fields named in the table above hf_op, the rest zero. It belongs to the
 * caller; what it points to lives until hf_result_free. Zero it before its first use. */
typedef struct hf_result {
    const char *op; /* the op that was answered; static storage */
    hf_message *message;
    hf_message *messages;
    size_t messages_count;
    hf_conversation *conversation;
    hf_conversation *conversations;
    size_t conversations_count;
    int has_more;
    int deduplicated;
    int deleted;
    int64_t deleted_messages;
    int64_t seq;    /* append: of this delta; read: of the last one, 0 for none */
    int64_t length; /* append: bytes of the content so far that are durable */
    int64_t held;   /* append: bytes that a layer took and holds back; 0 for none */
    hf_state state; /* read: the message's */
    hf_delta *deltas;
    size_t deltas_count;
    hf_hit *hits;
    size_t hits_count;
    hf_attention *attention;
    hf_text *segment_ids;
    size_t segment_ids_count;
    hf_text *deleted_summary_ids;
    size_t deleted_summary_ids_count;
    struct hf_result *results; /* of a batch, in order; freed with the batch's own result */
    size_t results_count;
    void *memory; /* the library's: whatever the pointers above show */
} hf_result;

/* Releases what `result` shows, and zeroes it. Any thread. Since 0.1. */
HF_API void hf_result_free(hf_result *result);

/* Memory for whoever builds a result - a C layer that answers, a terminal of the host's own: `size`
 * zeroed bytes, aligned for any type, that live until hf_result_free(result). NULL where memory ran
 * out. Since 0.1. */
HF_API void *hf_result_alloc(hf_result *result, size_t size);

/* A copy of `text` that lives as long as `result`, ending in NUL; absent where `text` is absent or
 * memory ran out (text.data != NULL && copy.data == NULL tells). Since 0.1. */
HF_API hf_text hf_result_text(hf_result *result, hf_text text);

/* ---- A terminal of the host's own -------------------------------------------------------------- */

/*
 * What ends a chain. The default one is SQLite; a host may put another in its place (a remote
 * service, a store in memory) in hf_options.terminal, and the chain above does not notice.
 *
 * The engine calls it from one thread at a time, in this order: begin, any number of exec and
 * mark/release/undo, then commit or rollback. Where writers wait for each other and all of begin to undo are there, one
 * transaction takes in the ops of several threads, each but the first behind a mark of its own: an op may be run, and
 * all of them committed, on the thread of another caller. It calls begin at the first touch only: an op that a
 * layer answered never reaches the terminal. `exec` is never given a batch: the ops inside come one by
 * one. Ops have been checked, ids are minted, and `result` is empty but for its `op`.
 *
 * A function that fails returns the code it put into `err`. HF_BUSY and HF_IO are taken as transient:
 * the engine rolls back, waits and tries again where no layer has seen a result of this transaction.
 * A terminal without transactions leaves begin to undo NULL; what a failed op wrote then stays.
 *
 * With `open_reader`, reads that no layer wants go to another terminal on the same data, while this one is in use on
 * another thread. It sees what was committed when its transaction begins, and is itself used by one thread at a time:
 * begin, exec of one read, commit or rollback.
 */
typedef struct hf_terminal {
    size_t size; /* sizeof(hf_terminal) */
    void *data;  /* handed to each function */
    int (*exec)(void *data, const hf_op *op, hf_result *result, hf_error *err);
    int (*begin)(void *data, int write, hf_error *err); /* write: it will write; a lock is taken now */
    int (*commit)(void *data,
                  hf_error *err);           /* on failure a rollback follows, or, for HF_BUSY, another try */
    void (*rollback)(void *data);           /* after failures too; must cope with nothing to undo */
    int (*mark)(void *data, hf_error *err); /* a point within the transaction to come back to; nests */
    int (*release)(void *data, hf_error *err); /* forgets the newest mark */
    int (*undo)(void *data, hf_error *err);    /* goes back to the newest mark and forgets it */
    void (*close)(void *data);                 /* called once, by hf_close; may be NULL */
    /* Fills `out`, zeroed before, with such a terminal, which hf_close closes before this one. Called by any thread, one
     * at a time, this terminal being in use or not. Where it fails, the read waits for its turn. May be NULL. */
    int (*open_reader)(void *data, struct hf_terminal *out, hf_error *err);
} hf_terminal;

/* ---- Stores ------------------------------------------------------------------------------------ */

typedef struct hf_store hf_store;

typedef enum hf_durability {
    HF_DURABILITY_FULL = 0, /* an acknowledged write survives a power cut */
    HF_DURABILITY_NORMAL,   /* a crash of the process loses nothing; a power cut may lose the last commits */
} hf_durability;

typedef enum hf_level { HF_DEBUG, HF_INFO, HF_WARN, HF_ERROR } hf_level;

/* Where diagnostics go. `layer` names the layer that wrote the record, "" for the library itself;
 * `fields` is absent or a JSON object on one line. Called on the thread that runs the op, or commits it, which may be
 * that of another caller, while the store is in use: it must not call into the store. All arguments are borrowed. */
typedef void (*hf_log_fn)(void *data, hf_level level, const char *layer, const char *message, hf_text fields);

/*
 * One record for each op, as JSON on one line:
 *
 *   {"op":"add","messageId":"...","requestId":"...","chain":["redact","audit"],"layers":[{"layer":"redact",
 *    "op":"add","depth":0,"did":"rewrote","us":12},...],"terminalUs":71,"us":90,"outcome":"ok"}
 *
 * `layers` are the calls in the order in which they began, with the microseconds spent in the layer itself; `did`
 * is "passed", "rewrote", "answered", "refused" or "failed", the last two with a `code`. A call under another has a
 * greater `depth`. `outcome` is "ok" or "error", then with the `code` that the host got. It bears no content. Called as
 * hf_log_fn is.
 */
typedef void (*hf_trace_fn)(void *data, hf_text record);

/* Options of hf_open. Zero the struct, set `size`; zero means the default for every field. */
typedef struct hf_options {
    size_t size; /* sizeof(hf_options): lets an older program run with a newer library */
    hf_durability durability;
    int busy_timeout_ms; /* how long SQLite waits for another process's lock; default 250 */

    size_t max_content;  /* bytes of a message's content; default 64 MiB */
    size_t max_metadata; /* bytes of metadata, updates, titles and other short texts; default 1 MiB */
    size_t max_depth;    /* nesting of a JSON value; default 64 */
    size_t max_batch;    /* ops in a batch; default 10,000 */
    size_t max_json;     /* bytes of one op as JSON; default 128 MiB */

    size_t max_readers;   /* connections for reads beside the writer, opened as they are needed; default 4 */
    size_t max_submitted; /* ops that hf_submit took and that are not done; default 10,000 */

    hf_log_fn log; /* default: diagnostics are dropped */
    void *log_data;
    hf_trace_fn trace; /* default: none, and then it costs nothing */
    void *trace_data;

    /* Clock and random source, for tests that must be repeatable. `now`: ms since 1970. `random`:
     * fills `size` bytes, returns 0 on success. Called one at a time, on the thread that runs the op. */
    int64_t (*now)(void *data);
    int (*random)(void *data, void *bytes, size_t size);
    void *source_data; /* handed to both */

    /* Budgets of scripts in the sandbox. Time and instructions are for each op, inside a batch for each of its
     * ops, and count what runs in Lua, not the terminal or waiting; memory is for all scripts of the store, above
     * what the op itself brings, and those that wait for a commit with it. An op that goes past one fails with
     * HF_TIMEOUT or HF_MEMORY and is undone. A script's ctx:exec is charged as instructions, by its size and work. A
     * layer that keeps most of the memory after a breach is stopped until hf_reload, so that the others go on. */
    int64_t max_lua_ms;           /* of the monotonic clock, so that a busy machine counts; default 1000 */
    int64_t max_lua_instructions; /* default 100,000,000 */
    size_t max_lua_memory;        /* bytes; default 64 MiB */
    int max_exec_depth;           /* of ctx:exec or hf_layer_exec within one another; default 8 */
    int quarantine_after; /* breaches of a budget after which a layer runs no more: each op that would reach it
                                     fails with HF_TIMEOUT until hf_reload; default 0, never */
    hf_flag trusted;      /* HF_YES: scripts run with all of Lua's libraries and without budgets */

    /* Where `add` with `sync_to_disk` also writes its message, as a line of JSON that people and tools can read:
     * <view_dir>/<creation time of the conversation>_<its id, made safe>/messages.jsonl. After the commit, best
     * effort: a failure goes to the log. Copied; default: none. */
    const char *view_dir;

    /* Takes the place of SQLite; copied. `path` is then not opened. */
    const hf_terminal *terminal;
} hf_options;

/*
 * Opens the store at `path` and creates the file, readable by its owner alone, where there is none.
 * ":memory:" gives a store that lives as long as its handle. `options` may be NULL.
 *
 * HF_CORRUPT: the file is no SQLite database, is one that Holdfast did not make, or is of a newer
 * version; it is left untouched. HF_READONLY, HF_IO, HF_BUSY, HF_FULL: as SQLite found them.
 * HF_MISUSE: options that make no sense, a SQLite built without thread safety. Since 0.1.
 */
HF_API int hf_open(const char *path, const hf_options *options, hf_store **out, hf_error *err);

/* Closes a store and frees everything that hangs on it. What was submitted is run to its end before, each `done`
 * included. No other thread may be inside the store. Called from inside one of the store's own layers, from a `done` of
 * hf_submit, or from a process that inherited the handle over fork, it frees nothing. Since 0.1. */
HF_API void hf_close(hf_store *store);

/* ---- Middleware -------------------------------------------------------------------------------- */

/*
 * Puts a layer at the inner end of the chain: the first one registered is the outermost. The layer
 * takes part in ops that start afterwards.
 *
 * hf_use_file loads a Lua file; a bare name such as "redact" means the stock middleware of that name.
 * hf_use_string loads `source`; `name` is what the layer is called unless the chunk names itself.
 * Both run in a sandbox. `config` is a JSON object that the chunk receives as `...`; absent, it is an empty one.
 *
 * HF_INVALID: the file cannot be read or compiled, or what it returned is no middleware; a name that
 * the chain already has. HF_MIDDLEWARE: the chunk raised an error. HF_MISUSE: called from within a
 * layer. A failed call leaves the chain as it was. Any thread. Since 0.1.
 */
HF_API int hf_use_file(hf_store *store, const char *path, hf_text config, hf_error *err);
HF_API int hf_use_string(hf_store *store, const char *name, hf_text source, hf_text config, hf_error *err);

/* One call of a C layer: what it hands to hf_next, hf_layer_exec and hf_layer_data. It is gone when
 * the layer returns. */
typedef struct hf_layer hf_layer;

/*
 * A layer in C. It does one of four things: observes (hf_next, and looks at both), rewrites (hands
 * another op to hf_next, or changes the result), answers (fills `result`, its `op` included, and sets
 * nothing in motion below), or refuses (hf_layer_reject, and returns its code).
 *
 * Returns HF_OK after it called hf_next successfully or filled `result`; else the code in `err`.
 * `op` and what it shows is borrowed for the call; its fields include the minted ids.
 */
typedef int (*hf_layer_fn)(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err);

typedef struct hf_layer_options {
    size_t size;             /* sizeof(hf_layer_options) */
    const char *name;        /* lower-case-kebab, unique in the chain; required */
    const char *const *ops;  /* names of ops, ending in NULL; "*" for all. Default: each write but batch */
    void *data;              /* what hf_layer_data returns */
    void (*destroy)(void *); /* called with `data` when the store closes, or at once where this call fails */
} hf_layer_options;

/* Puts a C layer at the inner end of the chain. The host answers for what it does. HF_INVALID: a bad or
 * repeated name, an unknown op. HF_MISUSE: called from within a layer. Any thread. Since 0.1. */
HF_API int hf_use_function(hf_store *store, const hf_layer_options *options, hf_layer_fn fn, hf_error *err);

/* From a C layer: gives `op` - the one it received, or another - to the rest of the chain, and `result`
 * its answer. `result` is emptied first; it may be the layer's own. It succeeds at most once for each
 * call of the layer (HF_MISUSE); after a failure it may be called again, and what the failed call wrote
 * is gone. Errors from below come back unchanged. Since 0.1. */
HF_API int hf_next(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err);

/* From a C layer: runs another op, in the same transaction, through the layers below this one. A
 * failure undoes what that op did. Since 0.1. */
HF_API int hf_layer_exec(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err);

/* From a C layer: refuses the op. Fills `err` with `code` - a name of HF_CODE_MAP or the layer's own,
 * at most 63 bytes - and `message`, and returns the hf_code to return. Since 0.1. */
HF_API int hf_layer_reject(hf_layer *layer, const char *code, const char *message, hf_error *err);

/* The `data` of the layer's options. Since 0.1. */
HF_API void *hf_layer_data(hf_layer *layer);

/* ---- Running ops ------------------------------------------------------------------------------- */

/*
 * Runs one op through the chain and the terminal, in one transaction, and returns after the commit.
 * `result` is emptied first (pass a zeroed or a used one) and belongs to the caller; it may be NULL
 * where nobody wants it. On failure nothing of the op is in the store, except that HF_UNKNOWN leaves
 * it open: repeat the op with err->message_id to settle it. An error has room for the id of one message: a
 * `batch`, and a `createConversation`, that is to be repeated safely needs ids of the host's own in every op that
 * makes a row (of a `createConversation` without one, `message` names the id that was minted).
 *
 * HF_INVALID: the op breaks a rule of its fields; `message` names field, expectation and finding.
 * HF_NOT_FOUND, HF_CONFLICT: what it names is not there, or not in the state for it. HF_MIDDLEWARE,
 * HF_BAD_RESULT, HF_DENIED, HF_LAYER, HF_MEMORY, HF_TIMEOUT, HF_DEPTH: a layer. HF_BUSY, HF_IO, HF_FULL,
 * HF_READONLY, HF_CORRUPT, HF_UNKNOWN: the disk. HF_MISUSE: called from inside one of the store's own
 * layers, or in a process that inherited the handle over fork. Any thread. Since 0.1.
 *
 * A read (hf_op_writes: 0) that no layer of the chain wants, in a store without a trace, waits for no writer: it runs on
 * its caller's thread, on one of hf_options.max_readers connections, and sees what was committed when it began: all that
 * any thread of any process was told of, and nothing of the ops under way. Not so in a store in memory, in one with a
 * terminal that has no open_reader, and where no connection can be opened: there it waits for its turn as any other op.
 * A read of a few rows on the thread that ran the last op, with nobody else in the store, is answered by the connection that
 * writes, which has them in its cache.
 *
 * All other ops run one at a time, first come, first served. One that a layer wants runs on its caller's thread, as do all
 * where hf_options.trace is set; any other may be run for its caller by a thread that came before it. Where others wait when a
 * write has run, its transaction stays open, the next op runs in it, and one commit answers them all; a writer that is
 * alone commits at once. In such a transaction
 * - an op sees what the ones before it wrote, a read as well, and is undone alone where it fails;
 * - each call returns after the commit, one whose op failed in the terminal, or only read there, included; an op that
 *   never reached the terminal does not wait;
 * - where the commit fails, or a failure of the disk or of memory ends the transaction before it, all of these calls fail
 *   with that error, and nothing of them is in the store (HF_UNKNOWN: as above, for each);
 * - functions given to ctx:afterCommit, and the record of the trace, follow the commit, in the order of the ops;
 * - no op joins 5 ms after the first one ended, or behind 256 ops. A call so waits for the commit, and for at most one op
 *   that takes longer.
 * An op that breaks a rule of its fields is refused at once, and does not wait for the others.
 */
HF_API int hf_exec(hf_store *store, const hf_op *op, hf_result *result, hf_error *err);

/* Tells that an op is done: what hf_exec would have returned and filled in. `err` is NULL where `code` is HF_OK.
 * `result` may be taken over, by copying the struct and zeroing it; else it is freed. All arguments are borrowed. */
typedef void (*hf_done_fn)(void *data, int code, hf_result *result, const hf_error *err);

/*
 * hf_exec that does not wait: takes a copy of the op, its context included, and returns. The op runs on a thread that
 * the store owns, behind those that were submitted before it, many in one transaction; then `done`, which may be NULL,
 * is called there, in the order of submission, while the store is not in use: it may call hf_submit and hf_exec, and
 * holds up those behind it. With HF_OK returned, `done` is called exactly once; hf_close waits for it.
 *
 * HF_INVALID: as hf_exec's, for a rule of the op's fields; all else is for `done`. HF_BUSY: hf_options.max_submitted
 * ops are not done yet; this one was not taken. HF_CLOSED: called from a `done` while hf_close waits. HF_MEMORY: also
 * where the system gives no thread. HF_MISUSE: called from inside one of the store's own layers, or in a process that
 * inherited the handle over fork. `done` gets HF_MISUSE where the chain has layers in a Lua state of the host's: those
 * stay on the host's thread. C layers, and the functions of the options, are called on the store's thread too; all
 * signals are blocked there. Any thread. Since 0.1.
 */
HF_API int hf_submit(hf_store *store, const hf_op *op, hf_done_fn done, void *data, hf_error *err);

/* A text that the library allocated for the caller. */
typedef struct hf_json {
    char *data; /* ends in NUL, which `size` does not count */
    size_t size;
} hf_json;

/* Releases a text and zeroes the struct. Any thread. Since 0.1. */
HF_API void hf_json_free(hf_json *json);

/*
 * hf_exec for an op and a result as JSON: {"op":"add","conversationId":"c1",...} in,
 * {"op":"add","message":{...}} out, on one line, in the camelCase spelling. A key "ctx" beside the
 * op's fields is its context. Numbers, nulls and the bytes of untouched metadata come through exact.
 *
 * HF_INVALID covers JSON that is malformed, has a duplicate key, a lone surrogate, \u0000, or a number
 * that cannot be kept. `out` is left empty on failure, and may be NULL. Any thread. Since 0.1.
 */
HF_API int hf_exec_json(hf_store *store, hf_text op, hf_json *out, hf_error *err);

/*
 * A dry run: what hf_exec_json would do, told instead of done. The op goes through the chain and the terminal
 * with ctx.dryRun = true, and everything it wrote is rolled back; functions given to ctx:afterCommit do not run. What
 * a layer does to ctx.state, or elsewhere, is its own affair.
 *
 *   {"op":"add","outcome":"ok","us":90,"steps":[{"layer":"redact","op":"add","depth":0,"did":"rewrote","us":12,
 *    "changes":[{"path":"content","before":"...","after":"..."}],"resultChanges":[]},...,
 *    {"terminal":true,"op":"add","depth":1,"us":71,"stored":{"op":"add","message":{...}}}],"result":{...}}
 *
 * `changes` is what a layer changed of the op before it handed it on, `resultChanges` of the answer; `before` or
 * `after` is left out for what was not there. Where the op fails, `outcome` is "error" and `error` bears what hf_exec
 * would have given, and the call returns HF_OK all the same: explaining it succeeded. HF_INVALID: the text is no
 * op. HF_MISUSE: a terminal of the host's own without begin or rollback. Other errors as hf_exec's before the chain. Any thread. Since 0.1.
 */
HF_API int hf_explain_json(hf_store *store, hf_text op, hf_json *out, hf_error *err);

/* Loads every middleware file of the chain anew, with its configuration, and puts the new layers in the place of the
 * old ones at once; each keeps its ctx.state. Where one fails to load, the old chain stays as it is and `err` says
 * why, as hf_use_file does. Layers from strings, stock and functions stay. Any thread. Since 0.1. */
HF_API int hf_reload(hf_store *store, hf_error *err);

/*
 * Writes the disk view (hf_options.view_dir) anew from what the store holds, and gives the number of `conversations`
 * it now shows (may be NULL). Each conversation with final messages has one folder then, under the creation time that
 * the view knew it by, or the stored one; each file takes the place of the old one at once. Folders of the view whose
 * conversation is gone, or has no final message, are removed; whatever the view did not write stays. No layer sees
 * it. The write lock is held for one conversation at a time: ops of other processes go on in between.
 *
 * HF_MISUSE: a store without view_dir, or with a terminal of the host's own; called from within a layer. HF_IO,
 * HF_FULL, HF_READONLY: the view, or the store, as `message` says; the folders that were done by then stay new, the
 * others old. HF_BUSY, HF_CORRUPT, HF_CONFLICT: another process, a damaged row, two ids that a file system which
 * ignores case cannot tell apart. Any thread. Since 0.1.
 */
HF_API int hf_view_rebuild(hf_store *store, int64_t *conversations, hf_error *err);

/*
 * Looks the store at `path` over, without opening it as hf_open does: nothing is made, migrated or settled. With
 * `repair` 0 it only reads, beside whoever uses the store; else it repairs what can be in one transaction, and writers
 * wait for it meanwhile. The report is JSON on one line:
 *
 *   {"findings":[{"check":"deadOwners","level":"warn","message":"2 reserved or ...","count":2,"example":"m7"},...],
 *    "ok":false}
 *
 * `level` is "ok", "warn" (the store works, and something in it ought to be looked after) or "error". `count` and
 * `example`, an id, are there where they make sense; `repaired` is true where it was. `ok` says that nothing is wrong,
 * or is no more. Looked at are: integrity, version, tables, anchors, deadOwners, interrupted, ownerFiles, index,
 * orphans, orphanMarks, foreignKeys, owners, deltas, streams, indexEntries, indexTexts, unindexed, conversations,
 * messages, wal. What SQLite itself calls damaged is never repaired, and nothing else is looked at then: restore a backup.
 *
 * HF_CORRUPT: no store of Holdfast, or one of a newer version, as hf_open; or a repair failed, and all was undone.
 * HF_BUSY, HF_IO, HF_FULL, HF_READONLY: as SQLite found them. HF_MISUSE: ":memory:", or no path. Any thread. Since 0.1.
 */
HF_API int hf_doctor_json(const char *path, int repair, hf_json *out, hf_error *err);

/*
 * How large the store is, and what has become of its WAL, as JSON on one line:
 *
 *   {"conversations":2,"messages":40,"reserved":0,"streaming":1,"indexed":36,"deltas":7,"pageSize":4096,
 *    "databaseBytes":180224,"freePages":0,"schemaVersion":2,"walBytes":8240032,"walFrames":2000,
 *    "checkpoints":{"passes":3,"frames":6010,"failures":0,"outcome":"ok","behind":0},
 *    "writes":41,"commits":41,"durability":"full","sqliteVersion":"3.40.1"}
 *
 * The first six are rows: `reserved` and `streaming` are anchors of those who live, or whose death nobody has met yet;
 * messages in other states are not counted apart. Counting takes a read through an index, some 50 ms for a million
 * messages, in which no op runs.
 *
 * `databaseBytes` are those of all pages, some of which may still be in the WAL alone. `walFrames`: the pages that the WAL
 * held after the last commit of this process; `walBytes`, the file, stays as large as it was, up to 64 MiB, to which
 * the next write behind a longer one cuts it. `checkpoints` are those of this process on that file: `passes` over the WAL, its `frames` that they
 * brought into the database, and the `outcome` of the last one, "ok" or what SQLite said; a failure costs no op.
 * `starvedSince`, ms since 1970, is there while readers, of any process, keep the WAL beyond 2,000 frames: they have held
 * a transaction open since then, or one after the other, and the last pass had to leave `behind` so many frames.
 * A process whose stores have not brought a WAL beyond that into the database makes a pass to answer.
 * `writes` are the writes that the terminal ran for this handle, layers' own included, and `commits` the transactions
 * that they took: writers who wait share one.
 *
 * HF_MISUSE: a terminal of the host's own; called from within a layer. Others as a read's. Any thread. Since 0.1.
 */
HF_API int hf_stats_json(hf_store *store, hf_json *out, hf_error *err);

/* `err` as one line of JSON, {"code":...,"message":...,...} with the keys of Lua's error tables; what
 * is empty is left out. HF_MEMORY; HF_MISUSE for NULL. Any thread. Since 0.1. */
HF_API int hf_error_json(const hf_error *err, hf_json *out);

#ifdef __cplusplus
}
#endif

#endif
