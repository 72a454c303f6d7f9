/*
 * `holdfast ls`, `show` and `search`: what is in a store, for people, or with --json for programs. What a store holds is
 * text of any kind, so its control characters are escaped.
 */
#include "base/flat.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/walk.h"

struct show {
    const hf__cli *cli;
    hf__buf line; /* the line, or lines, at hand */
};

static void put_time(hf__buf *buf, const hf__value *row, const char *key) {
    char text[HF__TIME_SIZE];
    hf__out_time(hf__row_integer(row, key), text);
    hf__buf_string(buf, text);
}

/* ---- ls ---------------------------------------------------------------------------------------- */

/* What is special about a conversation, as a column that is there only then. */
static void put_marks(hf__buf *buf, const hf__value *row) {
    const hf__value *attention = hf__value_get(row, "attention");
    const hf__value *unseen = attention != NULL ? hf__value_get(attention, "unseen") : NULL;
    hf_text parent = hf__row_text(row, "forkParentConversationId");
    const char *before = "\t";
    if (unseen != NULL && unseen->is.boolean) {
        hf__buf_string(buf, "\tunseen");
        before = ", ";
    }
    if (parent.data == NULL) return;
    hf__buf_string(buf, before);
    hf__buf_string(buf, "fork of ");
    hf__out_escape(buf, parent, false, "");
}

static bool list_conversation(void *data, const hf__value *row) {
    struct show *show = data;
    if (show->cli->json) return hf__out_escaped(row->raw) == 0;
    hf__buf_clear(&show->line);
    hf__out_escape(&show->line, hf__row_text(row, "id"), false, "");
    hf__buf_char(&show->line, '\t');
    put_time(&show->line, row, "updatedAt");
    hf__buf_char(&show->line, '\t');
    hf__out_escape(&show->line, hf__row_text(row, "title"), false, "");
    put_marks(&show->line, row);
    return hf__out_line(hf__buf_view(&show->line)) == 0;
}

int hf__cli_ls(const hf__cli *cli) {
    hf_error err;
    hf_store *store;
    struct show show = {.cli = cli};
    int status = hf__cli_open(cli, false, &store);
    if (status != HF__EXIT_OK) return status;
    if (hf__walk_conversations(store, list_conversation, &show, &err) != HF_OK) {
        hf__out_note("%s: %s", cli->store, err.message);
        status = HF__EXIT_FAILED;
    }
    hf__buf_free(&show.line);
    hf_close(store);
    return status;
}

/* ---- show -------------------------------------------------------------------------------------- */

static const char indent[] = "  ";

static void put_styled(hf__buf *buf, const char *style, hf_text text) {
    if (hf__out_colours()) hf__buf_string(buf, style);
    hf__out_escape(buf, text, false, "");
    if (hf__out_colours()) hf__buf_string(buf, "\033[0m");
}

/* A paragraph on lines of its own. */
static void put_text(hf__buf *buf, hf_text text) {
    if (text.size == 0) return;
    hf__buf_char(buf, '\n');
    hf__buf_string(buf, indent);
    hf__out_escape(buf, text, true, indent);
}

/* Of a list of blocks the text, and what has none as JSON; any other content as it is. */
static void put_content(hf__buf *buf, hf_text content) {
    hf__arena arena = {0};
    const hf__value *blocks = NULL;
    if (hf__flat_blocks(&arena, content, &blocks, NULL) == HF_OK && blocks != NULL) {
        for (const hf__value *block = blocks->is.items.first; block != NULL; block = block->next) {
            hf_text text = hf__row_text(block, "text");
            put_text(buf, text.data != NULL ? text : block->raw);
        }
    } else {
        put_text(buf, content);
    }
    hf__arena_free(&arena);
}

/* What an imported message had beside role and content: tool calls, for instance. */
static void put_chat(hf__buf *buf, const hf__value *chat) {
    for (const hf__value *item = chat->is.items.first; item != NULL; item = item->next) {
        if (strcmp(item->key.data, "role") == 0 || strcmp(item->key.data, "content") == 0) continue;
        hf__buf_char(buf, '\n');
        hf__buf_string(buf, indent);
        hf__out_escape(buf, item->key, false, "");
        hf__buf_string(buf, ": ");
        hf__out_escape(buf, item->raw, true, indent);
    }
}

/* Why a message was aborted. */
static void put_reason(hf__buf *buf, const hf__value *row) {
    const hf__value *metadata = hf__value_get(row, "metadata");
    hf_text reason = metadata != NULL ? hf__row_text(metadata, "abortReason") : (hf_text){NULL, 0};
    if (reason.data == NULL) return;
    hf__buf_string(buf, ": ");
    hf__out_escape(buf, reason, false, "");
}

static bool show_message(void *data, const hf__value *row) {
    struct show *show = data;
    if (show->cli->json) return hf__out_escaped(row->raw) == 0;
    hf_text state = hf__row_text(row, "state");
    const hf__value *chat = hf__row_chat(row);
    hf__buf *line = &show->line;
    hf__buf_clear(line);
    hf__buf_char(line, '\n');
    put_styled(line, "\033[1m", hf__row_text(row, "role"));
    hf__buf_string(line, indent);
    put_time(line, row, "createdAt");
    if (state.data != NULL && strcmp(state.data, "final") != 0) {
        hf__buf_string(line, indent);
        hf__out_escape(line, state, false, "");
        put_reason(line, row);
    }
    put_content(line, hf__row_text(row, "content"));
    if (chat != NULL) put_chat(line, chat);
    return hf__out_line(hf__buf_view(line)) == 0;
}

static bool show_heading(struct show *show, const hf__value *conversation) {
    hf_text title = hf__row_text(conversation, "title");
    hf__buf_clear(&show->line);
    if (title.data != NULL) {
        put_styled(&show->line, "\033[1m", title);
        hf__buf_string(&show->line, indent);
    }
    hf__out_escape(&show->line, hf__row_text(conversation, "id"), false, "");
    return hf__out_line(hf__buf_view(&show->line)) == 0;
}

int hf__cli_show(const hf__cli *cli) {
    hf_error err;
    hf_store *store;
    hf__arena arena = {0};
    const hf__value *conversation;
    struct show show = {.cli = cli};
    hf_text id = hf_text_of(cli->args[0]);
    int status = hf__cli_open(cli, false, &store);
    if (status != HF__EXIT_OK) return status;
    int code = hf__ask_conversation(store, id, &arena, &conversation, &err);
    if (code == HF_OK && conversation == NULL) {
        hf__out_note("%s: there is no conversation \"%s\"", cli->store, id.data);
        status = HF__EXIT_FAILED;
    } else if (code == HF_OK && (cli->json || show_heading(&show, conversation))) {
        code = hf__walk_messages(store, id, show_message, &show, &err);
    }
    if (code != HF_OK) {
        hf__out_note("%s: %s", cli->store, err.message);
        status = HF__EXIT_FAILED;
    }
    hf__buf_free(&show.line);
    hf__arena_free(&arena);
    hf_close(store);
    return status;
}

/* ---- search ------------------------------------------------------------------------------------ */

/* Of a hit, one line. */
static bool show_hit(struct show *show, const hf__value *hit) {
    const hf__value *message = hf__value_get(hit, "message");
    if (show->cli->json) return hf__out_escaped(hit->raw) == 0;
    hf__buf_clear(&show->line);
    static const char *const columns[] = {"conversationId", "id", "role"};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        hf__out_escape(&show->line, hf__row_text(message, columns[i]), false, "");
        hf__buf_char(&show->line, '\t');
    }
    put_time(&show->line, message, "createdAt");
    hf__buf_char(&show->line, '\t');
    size_t before = show->line.size;
    hf__out_escape(&show->line, hf__row_text(hit, "snippet"), true, "");
    for (size_t i = before; i < show->line.size; i++)
        if (show->line.data[i] == '\n' || show->line.data[i] == '\t') show->line.data[i] = ' ';
    return hf__out_line(hf__buf_view(&show->line)) == 0;
}

static int ask_hits(hf_store *store, const hf__cli *cli, hf__arena *arena, const hf__value **hits,
                    hf_error *err) {
    const hf__value *answer;
    hf__buf op;
    hf__buf_init(&op, 0);
    hf__buf_string(&op, "{\"op\":\"search\",\"query\":");
    hf__json_write_text(&op, hf_text_of(cli->args[0]));
    if (cli->conversation != NULL) {
        hf__buf_string(&op, ",\"conversationId\":");
        hf__json_write_text(&op, hf_text_of(cli->conversation));
    }
    if (cli->limit > 0) {
        hf__buf_string(&op, ",\"limit\":");
        hf__json_write_int(&op, cli->limit);
    }
    hf__buf_char(&op, '}');
    int code = hf__buf_check(&op, "the op", err);
    if (code == HF_OK) code = hf__ask(store, hf__buf_view(&op), arena, &answer, err);
    if (code == HF_OK) *hits = hf__value_get(answer, "hits")->is.items.first;
    hf__buf_free(&op);
    return code;
}

int hf__cli_search(const hf__cli *cli) {
    hf_error err;
    hf_store *store;
    hf__arena arena = {0};
    const hf__value *hit = NULL;
    struct show show = {.cli = cli};
    int status = hf__cli_open(cli, false, &store);
    if (status != HF__EXIT_OK) return status;
    if (ask_hits(store, cli, &arena, &hit, &err) != HF_OK) {
        hf__out_note("%s", err.message);
        status = HF__EXIT_FAILED;
    }
    while (hit != NULL && show_hit(&show, hit))
        hit = hit->next;
    hf__buf_free(&show.line);
    hf__arena_free(&arena);
    hf_close(store);
    return status;
}
