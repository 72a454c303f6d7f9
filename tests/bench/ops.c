/*
 * What each op costs, alone and through layers: an action is what one step does, by Holdfast and by SQLite, and the list
 * makes cases of it. What a step consumes is made before it, outside the time.
 */
#include "bench/bench.h"

enum { ROWS = 1000, PAGE = 20, STREAM = 20, FORKED = 10, BATCH = 10, CONVERSATIONS = 200 };

#define TEXT(literal) \
    { literal, sizeof(literal) - 1 }

static const hf_text bench = TEXT("bench"), user = TEXT("user"), assistant = TEXT("assistant");
static const hf_text title = TEXT("About the files"), reason = TEXT("the user asked for it");
static const hf_text word = TEXT("quokka"),
                     rare =
                         TEXT("a quokka is a small marsupial about the size of a cat, and friendly to all");
static const hf_text delta =
    TEXT("and the second of them looks like a match, so the next step is to open that one.");

/* ---- Messages ---------------------------------------------------------------------------------- */

static hf_text content_of(const subject *s) {
    return (hf_text){s->content, s->is->size};
}

static hf_op add_of(const subject *s) {
    return (hf_op){.op = "add",
                   .conversation_id = bench,
                   .role = user,
                   .content = content_of(s),
                   .metadata = hf_text_of(s->is->metadata),
                   .skip_indexing = s->is->indexed ? HF_NO : HF_YES};
}

static bare_message bare_of(const subject *s, hf_text role) {
    return (bare_message){bench, role, content_of(s), hf_text_of(s->is->metadata), s->is->indexed};
}

/* Runs what makes a message, and keeps its id. */
static void make(subject *s, const hf_op *op, char id[40]) {
    hf_result result = {0};
    ask(s, op, &result);
    put(id, 40, "%s", result.message->id.data);
    hf_result_free(&result);
}

static void step_add(subject *s) {
    bare_message message = bare_of(s, user);
    hf_op op = add_of(s);
    if (s->is->sqlite)
        bare_add(s->bare, &message, s->id);
    else
        run(s, &op);
}

/* A message behind the one that the next step deletes: the newest goes more rarely than others. */
static void prepare_delete(subject *s) {
    bare_message message = bare_of(s, user);
    hf_op op = add_of(s);
    char before[sizeof s->id];
    memcpy(before, s->newest, sizeof before);
    if (s->is->sqlite)
        bare_add(s->bare, &message, s->newest);
    else
        make(s, &op, s->newest);
    memcpy(s->id, before, sizeof before);
    if (before[0] == '\0') prepare_delete(s);
}

static void reserve(subject *s) {
    bare_message message = bare_of(s, assistant);
    if (s->is->sqlite)
        bare_reserve(s->bare, &message, s->id);
    else
        make(s, &(hf_op){.op = "reserve", .conversation_id = bench, .role = assistant}, s->id);
    s->seq = 0;
}

static void step_reserve(subject *s) {
    bare_message message = bare_of(s, assistant);
    if (s->is->sqlite)
        bare_reserve(s->bare, &message, s->id);
    else
        run(s, &(hf_op){.op = "reserve", .conversation_id = bench, .role = assistant});
}

static void step_append(subject *s) {
    s->seq++;
    if (s->is->sqlite)
        bare_append(s->bare, s->id, s->seq, delta);
    else
        run(s, &(hf_op){.op = "append", .message_id = hf_text_of(s->id), .delta = delta, .seq = s->seq});
}

/* An anchor for a while of appends. */
static void prepare_append(subject *s) {
    if (s->id[0] == '\0' || s->seq == 500) reserve(s);
}

static void prepare_stream(subject *s) {
    reserve(s);
    for (int i = 0; i < STREAM; i++)
        step_append(s);
}

static void step_finish(subject *s) {
    bare_message message = bare_of(s, assistant);
    if (s->is->sqlite)
        bare_finish(s->bare, s->id, &message, s->seq);
    else
        run(s, &(hf_op){.op = "updateContent",
                        .message_id = hf_text_of(s->id),
                        .content = content_of(s),
                        .index = s->is->indexed ? HF_YES : HF_NO});
}

/* Others each time: SQLite writes no page that stays as it was. */
static hf_text make_updates(subject *s, char *out, size_t size) {
    put(out, size, "{\"tokens\":%zu,\"model\":\"m-1\"}", s->next++ % 1000000);
    return hf_text_of(out);
}

static void update(subject *s, const char *id) {
    char text[64];
    hf_text updates = make_updates(s, text, sizeof text);
    if (s->is->sqlite)
        bare_update(s->bare, id, updates);
    else
        run(s, &(hf_op){.op = "update", .message_id = hf_text_of(id), .updates = updates});
}

static void step_update(subject *s) {
    update(s, s->ids[s->next % ROWS]);
}

static void step_delete(subject *s) {
    if (s->is->sqlite)
        bare_delete(s->bare, s->id);
    else
        run(s, &(hf_op){.op = "delete", .message_id = hf_text_of(s->id)});
}

static void step_abort(subject *s) {
    if (s->is->sqlite)
        bare_abort(s->bare, s->id, reason);
    else
        run(s, &(hf_op){.op = "abort", .message_id = hf_text_of(s->id), .reason = reason});
}

static void step_batch(subject *s) {
    enum { MOST = 1000 };
    size_t count = s->is->count > 0 ? s->is->count : BATCH;
    if (s->is->sqlite) {
        bare_message message = bare_of(s, user);
        bare_begin(s->bare);
        for (size_t i = 0; i < count; i++)
            bare_add(s->bare, &message, s->id);
        bare_commit(s->bare);
    } else {
        hf_op ops[MOST];
        for (size_t i = 0; i < count; i++)
            ops[i] = add_of(s);
        run(s, &(hf_op){.op = "batch", .ops = ops, .ops_count = count});
    }
}

/* ---- Reads ------------------------------------------------------------------------------------- */

/* ROWS messages in the conversation, some of them indexed and one in a hundred with a word that is looked for. */
static void fill_rows(subject *s) {
    s->ids = allocate(ROWS, sizeof *s->ids);
    hf_op *ops = allocate(ROWS, sizeof *ops);
    for (int i = 0; i < ROWS; i++) {
        bool found = i % 100 == 7;
        put(s->ids[i], sizeof s->ids[i], "0191c2a4-0000-7000-8000-%012d", i);
        ops[i] = add_of(s);
        ops[i].message_id = hf_text_of(s->ids[i]);
        if (i % 2 == 1) ops[i].role = assistant;
        if (found) ops[i].content = rare;
        if (found) ops[i].skip_indexing = HF_NO;
    }
    run(s, &(hf_op){.op = "batch", .ops = ops, .ops_count = ROWS});
    free(ops);
}

static void step_get(subject *s) {
    const char *id = s->ids[s->next++ % ROWS];
    if (!s->is->sqlite)
        run(s, &(hf_op){.op = "get", .message_id = hf_text_of(id)});
    else if (bare_get(s->bare, id) != 1)
        die("%s: nothing is there", id);
}

static void step_list(subject *s) {
    if (!s->is->sqlite)
        run(s, &(hf_op){.op = "list", .conversation_id = bench, .limit = PAGE});
    else if (bare_list(s->bare, bench, PAGE) != PAGE + 1)
        die("a list is too short");
}

/* The half of a stream that a client has missed. */
static void step_read(subject *s) {
    if (!s->is->sqlite)
        run(s, &(hf_op){.op = "read", .message_id = hf_text_of(s->id), .after_seq = STREAM / 2});
    else if (bare_read(s->bare, s->id, STREAM / 2) != STREAM / 2)
        die("a stream is too short");
}

static void prepare_read(subject *s) {
    if (s->id[0] == '\0') prepare_stream(s);
}

static void step_search(subject *s) {
    if (s->is->sqlite) {
        if (bare_search(s->bare, word, 20) != ROWS / 100) die("a search found too little");
        return;
    }
    hf_result result = {0};
    ask(s, &(hf_op){.op = "search", .query = word}, &result);
    if (result.hits_count != ROWS / 100) die("%s: %zu hits", s->is->name, result.hits_count);
    hf_result_free(&result);
}

/* ---- Conversations ----------------------------------------------------------------------------- */

static void fill_conversations(subject *s) {
    for (int i = 0; i < CONVERSATIONS; i++)
        run(s, &(hf_op){.op = "createConversation", .title = title});
}

static void fill_forked(subject *s) {
    hf_op op = add_of(s);
    for (int i = 0; i < FORKED; i++) {
        op.role = i % 2 == 0 ? user : assistant;
        run(s, &op);
    }
}

static void step_mark_seen(subject *s) {
    const char *id = s->ids[s->next++ % ROWS];
    if (s->is->sqlite)
        bare_mark_seen(s->bare, bench, id);
    else
        run(s, &(hf_op){.op = "markSeen", .conversation_id = bench, .message_id = hf_text_of(id)});
}

static void step_create(subject *s) {
    if (s->is->sqlite)
        bare_create(s->bare, title);
    else
        run(s, &(hf_op){.op = "createConversation", .title = title});
}

static void step_change(subject *s) {
    char text[64];
    hf_text updates = make_updates(s, text, sizeof text);
    if (s->is->sqlite)
        bare_change(s->bare, bench, title, updates);
    else
        run(s, &(hf_op){
                   .op = "updateConversation", .conversation_id = bench, .title = title, .updates = updates});
}

static void step_conversation(subject *s) {
    if (!s->is->sqlite)
        run(s, &(hf_op){.op = "getConversation", .conversation_id = bench});
    else if (bare_conversation(s->bare, bench) != 1)
        die("the conversation is not there");
}

static void step_conversations(subject *s) {
    if (!s->is->sqlite)
        run(s, &(hf_op){.op = "listConversations", .limit = PAGE});
    else if (bare_conversations(s->bare, PAGE) != PAGE + 1)
        die("a list is too short");
}

static void step_fork(subject *s) {
    if (s->is->sqlite)
        bare_fork(s->bare, bench, s->id);
    else
        run(s, &(hf_op){.op = "fork", .conversation_id = bench});
}

/* A copy of the conversation, which the step deletes. */
static void prepare_delete_conversation(subject *s) {
    hf_result result = {0};
    if (s->is->sqlite) {
        bare_fork(s->bare, bench, s->id);
        return;
    }
    ask(s, &(hf_op){.op = "fork", .conversation_id = bench}, &result);
    put(s->id, sizeof s->id, "%s", result.conversation->id.data);
    hf_result_free(&result);
}

static void step_delete_conversation(subject *s) {
    if (s->is->sqlite)
        bare_delete_conversation(s->bare, s->id);
    else
        run(s, &(hf_op){.op = "deleteConversation", .conversation_id = hf_text_of(s->id)});
}

/* ---- A turn of an agent ------------------------------------------------------------------------ */

static void step_mixed(subject *s) {
    step_add(s);
    prepare_stream(s);
    step_finish(s);
    update(s, s->id);
    if (s->is->sqlite)
        bare_get(s->bare, s->id);
    else
        run(s, &(hf_op){.op = "get", .message_id = hf_text_of(s->id)});
    step_list(s);
}

/* ---- Steps in a row ---------------------------------------------------------------------------- */

static void open_ops(subject *s) {
    open_subject(s, s->is->action->fill);
}

/* In one step. */
static double ops_of(const bench_case *is) {
    return (double)(is->count > 0 ? is->count : is->action->ops);
}

/* The first step, which finds the caches full of another case, does not count. */
static void slice_ops(subject *s, size_t steps, slice *out) {
    const action *does = s->is->action;
    double *spent = allocate(steps, sizeof *spent);
    for (size_t i = 0; i <= steps; i++) {
        if (does->prepare != NULL) does->prepare(s);
        double begun = now_ns();
        does->step(s);
        double took = now_ns() - begun;
        if (i == 0) continue;
        spent[i - 1] = took;
        out->total += took;
    }
    out->ops = (double)steps * ops_of(s->is);
    out->median = quantile(spent, steps, 0.5) / ops_of(s->is);
    free(spent);
}

const kind step_by_step = {.open = open_ops, .slice = slice_ops, .close = close_subject};

static void slice_row(subject *s, size_t steps, slice *out) {
    const action *does = s->is->action;
    double begun = now_ns();
    for (size_t i = 0; i < steps; i++)
        does->step(s);
    out->total = now_ns() - begun;
    out->ops = (double)steps * ops_of(s->is);
    out->median = out->total / out->ops;
}

const kind in_a_row = {.open = open_ops, .slice = slice_row, .close = close_subject};

/* ---- The cases --------------------------------------------------------------------------------- */

static const action actions[] = {
    {"add", "1 KiB of content", NULL, NULL, step_add, 1, 2, false},
    {"add-indexed", "the same, into the search index", NULL, NULL, step_add, 1, 4, true},
    {"reserve", "an anchor", NULL, NULL, step_reserve, 1, 2, false},
    {"append", "80 bytes to an anchor", NULL, prepare_append, step_append, 1, 1, false},
    {"updateContent", "an anchor of 20 deltas becomes final", NULL, prepare_stream, step_finish, 1, 10,
     false},
    {"updateContent-indexed", "the same, into the search index", NULL, prepare_stream, step_finish, 1, 10,
     true},
    {"update", "two keys of metadata", fill_rows, NULL, step_update, 1, 2, false},
    {"delete", "a message of 1 KiB", fill_rows, prepare_delete, step_delete, 1, 4, false},
    {"abort", "an anchor of 20 deltas", NULL, prepare_stream, step_abort, 1, 10, false},
    {"get", "a message of 1 KiB", fill_rows, NULL, step_get, 1, 1, false},
    {"list", "the last 20 messages of 1,000", fill_rows, NULL, step_list, 1, 2, false},
    {"read", "the last 10 deltas of 20", NULL, prepare_read, step_read, 1, 1, false},
    {"search", "a word that 10 of 1,000 messages have", fill_rows, NULL, step_search, 1, 4, true},
    {"markSeen", "another message each time", fill_rows, NULL, step_mark_seen, 1, 1, false},
    {"createConversation", "with a title", NULL, NULL, step_create, 1, 1, false},
    {"updateConversation", "title and two keys of metadata", NULL, NULL, step_change, 1, 1, false},
    {"getConversation", "one", fill_conversations, NULL, step_conversation, 1, 1, false},
    {"listConversations", "the 20 newest of 201", fill_conversations, NULL, step_conversations, 1, 2, false},
    {"fork", "a conversation of 10 messages of 1 KiB", fill_forked, NULL, step_fork, 1, 10, false},
    {"deleteConversation", "of 10 messages of 1 KiB", fill_forked, prepare_delete_conversation,
     step_delete_conversation, 1, 20, false},
    {"batch", "10 adds of 1 KiB, for one of them", NULL, NULL, step_batch, BATCH, 10, false},
    {"mixed", "a turn: add, reserve, 20 append, updateContent, update, get, list; for one of 26", fill_rows,
     NULL, step_mixed, 6 + STREAM, 20, false},
};

enum { ACTIONS = sizeof actions / sizeof *actions };

static const struct {
    const char *ending, *what;
    int layers;
    bool trusted, in_c;
} ways[] = {
    {"", "no layer", 0, false, false},
    {"-lua-1", "1 Lua layer that passes the op on", 1, false, false},
    {"-lua-5", "5 of them", 5, false, false},
    {"-lua-20", "20 of them", 20, false, false},
    {"-trusted-5", "5 of them, without budgets", 5, true, false},
    {"-c-5", "5 C layers that pass the op on", 5, false, true},
};

static const char observe[] = "local bytes = 0\n"
                              "return {ops = '*', handle = function(op, next)\n"
                              "  local result = next(op)\n"
                              "  if result.message then bytes = bytes + #result.message.content end\n"
                              "  return result\n"
                              "end}";

#define METADATA "{\"model\":\"m-1\",\"tokens\":311,\"tags\":[\"a\",\"b\"]}"

/* More of `add`, through layers that do something. */
static const bench_case adds[] = {
    {.name = "add-observe-5",
     .baseline = "add",
     .what = "5 Lua layers that look at the result",
     .layers = 5,
     .script = observe},
    {.name = "add-redact-audit",
     .baseline = "add",
     .what = "redact and audit",
     .layers = 2,
     .stock = "redact,audit"},
    {.name = "add-metadata", .baseline = "add", .what = "3 keys of metadata, no layer", .metadata = METADATA},
    {.name = "add-metadata-5",
     .baseline = "add-metadata",
     .what = "the same through 5 Lua layers",
     .layers = 5,
     .metadata = METADATA},
};

static bench_case case_of(const action *of) {
    bench_case one = {
        .group = "ops",
        .kind = &step_by_step,
        .action = of,
        .steps = 60 / of->weight + 2,
        .rounds = 60,
        .indexed = of->indexed,
        .size = 1024,
    };
    put(one.family, sizeof one.family, "%s", of->name);
    return one;
}

bench_case case_of_op(const char *name) {
    const action *of = actions;
    while (of < actions + ACTIONS && strcmp(of->name, name) != 0)
        of++;
    if (of == actions + ACTIONS) die("there is no action \"%s\"", name);
    return case_of(of);
}

static void list_action(const action *of) {
    bench_case one = case_of(of);
    one.sqlite = true;
    put(one.name, sizeof one.name, "%s-sqlite", of->name);
    put(one.what, sizeof one.what, "%s: by SQLite alone", of->what);
    add_case(one);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        one = case_of(of);
        one.layers = ways[i].layers;
        one.trusted = ways[i].trusted;
        one.in_c = ways[i].in_c;
        put(one.name, sizeof one.name, "%s%s", of->name, ways[i].ending);
        put(one.baseline, sizeof one.baseline, "%s%s", of->name, i == 0 ? "-sqlite" : "");
        put(one.what, sizeof one.what, "%s: %s", of->what, ways[i].what);
        add_case(one);
    }
}

void list_ops(void) {
    for (size_t i = 0; i < ACTIONS; i++) {
        list_action(&actions[i]);
        if (i > 0) continue;
        for (size_t j = 0; j < sizeof adds / sizeof *adds; j++) {
            bench_case one = case_of(&actions[0]), given = adds[j];
            given.group = one.group;
            given.kind = one.kind;
            given.action = one.action;
            given.steps = one.steps;
            given.rounds = one.rounds;
            given.size = one.size;
            memcpy(given.family, one.family, sizeof one.family);
            add_case(given);
        }
    }
}
