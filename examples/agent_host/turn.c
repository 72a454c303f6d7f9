/* One turn of a conversation: the ops of an answer that streams in, and the events about it. See turn.h. */
#include "turn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Ops ----------------------------------------------------------------------------------------- */

void turn_report(const hf_error *err) {
    const char *op = err->op[0] != '\0' ? err->op : "open";
    if (err->layer[0] != '\0')
        fprintf(stderr, "agent_host: %s: %s, from layer %s: %s\n", op, err->name, err->layer, err->message);
    else
        fprintf(stderr, "agent_host: %s: %s: %s\n", op, err->name, err->message);
}

/* HF_UNKNOWN: the disk failed in the act, and the op may be in the store or not. It is asked again with the same
 * id, of a new message the one that was minted for it: the store does nothing twice. */
bool turn_exec(struct turn *turn, const hf_op *op, hf_result *result) {
    hf_error err;
    hf_op again = *op;
    char minted[sizeof err.message_id];
    int code = hf_exec(turn->store, op, result, &err);
    for (int tries = 0; code == HF_UNKNOWN && tries < 3; tries++) {
        if (op->role.data != NULL && op->message_id.data == NULL) /* `add` and `reserve` */
            again.message_id = hf_text_of(strcpy(minted, err.message_id));
        code = hf_exec(turn->store, &again, result, &err);
    }
    if (code == HF_OK) return true;
    turn_report(&err);
    turn->failed = true;
    return false;
}

/* ---- Events -------------------------------------------------------------------------------------- */

void turn_send(struct turn *turn, const char *event, hf_text members) {
    if (turn->stop != NULL) return; /* the client hears of nothing that the store did not take */
    struct text id = {0};
    text_quote(&id, turn->message_id.data);
    printf("event: %s\ndata: {\"messageId\":%s,\"seq\":%" PRId64 "%s%s}\n\n", event, id.data, turn->seq,
           members.size > 0 ? "," : "", members.data);
    fflush(stdout); /* a failure stays on the stream, and main looks at the end */
    text_free(&id);
}

static struct text object_of(hf_text members) {
    struct text object = {0};
    text_puts(&object, "{");
    text_add(&object, members);
    text_puts(&object, "}");
    return object;
}

/* Adds a list with one block of text, or with none where there is no text. */
static void put_text_block(struct text *content, const char *string) {
    if (*string == '\0') {
        text_puts(content, "[]");
        return;
    }
    text_puts(content, "[{\"type\":\"text\",\"text\":");
    text_quote(content, string);
    text_puts(content, "}]");
}

/* ---- The turn ------------------------------------------------------------------------------------ */

bool turn_ask(struct turn *turn, const char *words) {
    struct text content = {0};
    put_text_block(&content, words);
    hf_op add = {.op = "add",
                 .conversation_id = turn->conversation,
                 .role = hf_text_of("user"),
                 .content = text_view(&content)};
    bool ok = turn_exec(turn, &add, NULL);
    text_free(&content);
    return ok;
}

bool turn_begin(struct turn *turn, hf_text members) {
    struct text metadata = object_of(members);
    hf_result result = {0};
    hf_op reserve = {.op = "reserve",
                     .conversation_id = turn->conversation,
                     .role = hf_text_of("assistant"),
                     .metadata = text_view(&metadata)};
    bool ok = turn_exec(turn, &reserve, &result);
    if (ok) {
        text_clear(&turn->message_id);
        text_add(&turn->message_id, result.message->id);
        text_clear(&turn->half);
        turn->seq = 0;
        turn->stop = NULL;
        turn_send(turn, "message_start", members);
    }
    hf_result_free(&result);
    text_free(&metadata);
    return ok;
}

/* The piece bears its number: asked again, the store answers that it has it. Whoever else settled the message
 * meanwhile, to cancel it for instance, shows here as HF_CONFLICT. */
static void append(struct turn *turn, const char *piece) {
    hf_result result = {0};
    hf_op append = {.op = "append",
                    .message_id = text_view(&turn->message_id),
                    .delta = hf_text_of(piece),
                    .seq = turn->seq + 1};
    if (turn_exec(turn, &append, &result)) {
        turn->seq = result.seq;
        text_clear(&turn->piece);
        text_puts(&turn->piece, piece);
        if (result.held > 0) printf(": a layer holds back %" PRId64 " bytes\n\n", result.held);
    } else {
        turn->stop = "it could not be stored";
    }
    hf_result_free(&result);
}

void turn_grow(struct turn *turn, hf_text escaped) {
    struct text string = {0};
    if (turn->stop != NULL || escaped.size == 0) return;
    text_puts(&string, "\"");
    text_add(&string, text_view(&turn->half));
    text_add(&string, escaped);
    text_puts(&string, "\"");
    char *piece = json_decode(text_view(&string));
    if (piece != NULL) {
        text_clear(&turn->half);
        append(turn, piece);
    } else {
        text_add(&turn->half, escaped); /* it ends with half a surrogate pair */
    }
    free(piece);
    text_free(&string);
}

/* The content and how it ended are one batch: either both are in the store or neither. */
static bool settle(struct turn *turn, hf_text content, hf_text members) {
    struct text updates = object_of(members);
    hf_text id = text_view(&turn->message_id);
    hf_op ops[] = {
        {.op = "updateContent", .message_id = id, .content = content},
        {.op = "update", .message_id = id, .updates = text_view(&updates)},
    };
    hf_op batch = {.op = "batch", .ops = ops, .ops_count = 2};
    bool ok = turn_exec(turn, &batch, NULL);
    text_free(&updates);
    return ok;
}

bool turn_finish(struct turn *turn, hf_text content, hf_text members) {
    bool ok = settle(turn, content, members);
    if (ok) turn_send(turn, "message_stop", members); /* after the commit: it is a promise */
    return ok;
}

bool turn_stop(struct turn *turn) {
    struct text members = {0};
    hf_op abort = {
        .op = "abort", .message_id = text_view(&turn->message_id), .reason = hf_text_of(turn->stop)};
    bool ok = turn_exec(turn, &abort, NULL);
    text_puts(&members, "\"abortReason\":");
    text_quote(&members, turn->stop);
    turn->stop = NULL;
    if (ok) turn_send(turn, "message_stop", text_view(&members));
    text_free(&members);
    return ok;
}

/* Pieces can be read until the message is final; then `read` gives none, and a client gets the message. */
bool turn_missed(struct turn *turn, int64_t after, struct text *text, int64_t *last) {
    hf_result result = {0};
    hf_op read = {.op = "read", .message_id = text_view(&turn->message_id), .after_seq = after};
    bool ok = turn_exec(turn, &read, &result);
    for (size_t i = 0; i < result.deltas_count; i++)
        text_add(text, result.deltas[i].delta);
    *last = result.seq;
    hf_result_free(&result);
    return ok;
}

/* ---- After a crash ------------------------------------------------------------------------------- */

/* Opening the store marked what the dead host was receiving as interrupted. Its text becomes the content; a
 * host may as well leave it as it is, for `abort` or a new try. */
static bool recover(struct turn *turn, hf_text message_id) {
    struct text text = {0}, content = {0};
    int64_t last;
    text_clear(&turn->message_id);
    text_add(&turn->message_id, message_id);
    bool ok = turn_missed(turn, 0, &text, &last);
    put_text_block(&content, text_view(&text).data);
    ok = ok &&
         settle(turn, text_view(&content),
                hf_text_of("\"interrupted\":true,\"problem\":\"the host died before the response ended\""));
    if (ok)
        printf(": recovered %s: %zu bytes, through %" PRId64 "\n\n", turn->message_id.data, text.size, last);
    text_free(&text);
    text_free(&content);
    return ok;
}

bool turn_recover(struct turn *turn) {
    hf_text interrupted = hf_text_of("interrupted");
    hf_op list = {
        .op = "list", .conversation_id = turn->conversation, .states = &interrupted, .states_count = 1};
    hf_result result = {0};
    bool ok = turn_exec(turn, &list, &result);
    for (size_t i = 0; ok && i < result.messages_count; i++)
        ok = recover(turn, result.messages[i].id);
    hf_result_free(&result);
    return ok;
}

void turn_free(struct turn *turn) {
    text_free(&turn->piece);
    text_free(&turn->message_id);
    text_free(&turn->half);
}
