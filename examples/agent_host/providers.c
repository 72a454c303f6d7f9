/* What the providers' chunks mean, turned into the blocks of a reply. See providers.h. */
#include "providers.h"

#include <stdlib.h>

static bool starts_with(hf_text string, const char *prefix) {
    hf_text body = json_body(string);
    size_t size = strlen(prefix);
    return body.size >= size && memcmp(body.data, prefix, size) == 0;
}

static bool ends_with(hf_text string, const char *suffix) {
    hf_text body = json_body(string);
    size_t size = strlen(suffix);
    return body.size >= size && memcmp(body.data + body.size - size, suffix, size) == 0;
}

/* Adds "NAME":VALUE to an object that is being written, or nothing where the value is absent. */
static void put_member(struct text *object, const char *name, hf_text value) {
    if (value.data == NULL) return;
    text_puts(object, object->size == 0 ? "{\"" : ",\"");
    text_puts(object, name);
    text_puts(object, "\":");
    text_add(object, value);
}

static hf_text text_or(hf_text text, const char *otherwise) {
    return text.data != NULL ? text : hf_text_of(otherwise);
}

static bool same_text(hf_text a, hf_text b) {
    return a.size == b.size && memcmp(text_or(a, "").data, text_or(b, "").data, a.size) == 0;
}

static void put_string(struct text *object, const char *name, const char *string) {
    struct text quoted = {0};
    text_quote(&quoted, string);
    put_member(object, name, text_view(&quoted));
    text_free(&quoted);
}

/* ---- Anthropic, messages ------------------------------------------------------------------------- */

static const char *apply_anthropic(hf_text chunk, struct reply *reply) {
    hf_text type = json_member(chunk, "type");
    struct block *block = reply_find(reply, json_long(json_member(chunk, "index")), 0);
    bool grows = json_is(type, "content_block_delta"), stops = json_is(type, "content_block_stop");

    if (json_is(type, "content_block_start")) {
        reply_open(reply, json_long(json_member(chunk, "index")), 0, json_member(chunk, "content_block"));
    } else if ((grows || stops) && (block == NULL || block->closed)) {
        return "it belongs to a content block that is not open";
    } else if (grows) {
        reply_grow(reply, block, json_member(chunk, "delta"));
    } else if (stops) {
        reply_close(reply, block);
    } else if (json_is(type, "message_delta")) {
        hf_text reason = json_member(json_member(chunk, "delta"), "stop_reason");
        if (reason.data == NULL) return NULL;
        text_clear(&reply->stop_reason);
        text_add(&reply->stop_reason, reason);
    } else if (json_is(type, "message_stop")) {
        reply->ended = true;
    }
    return NULL;
}

/* ---- OpenAI, chat completions -------------------------------------------------------------------- */

/* The strings of a delta, and the blocks that they grow. */
static const struct {
    const char *key;   /* in the delta */
    const char *block; /* type of the block */
    const char *field; /* of the block */
    const char *delta; /* type of the delta that goes out */
    const char *opening;
} chat_strings[] = {
    {"reasoning_content", "thinking", "thinking", "thinking_delta",
     "{\"type\":\"thinking\",\"thinking\":\"\"}"},
    {"content", "text", "text", "text_delta", "{\"type\":\"text\",\"text\":\"\"}"},
    {"refusal", "refusal", "refusal", "refusal_delta", "{\"type\":\"refusal\",\"refusal\":\"\"}"},
};

enum { CHAT_STRINGS = sizeof chat_strings / sizeof *chat_strings, CHAT_INDEX = -1, CHAT_CONTENT = 1 };

static struct block *chat_block(struct reply *reply, long string) {
    struct block *block = reply_find(reply, CHAT_INDEX, string);
    return block != NULL ? block
                         : reply_open(reply, CHAT_INDEX, string, hf_text_of(chat_strings[string].opening));
}

static void apply_tool_call(hf_text call, struct reply *reply) {
    long index = json_long(json_member(call, "index"));
    hf_text id = json_member(call, "id");
    hf_text custom = json_member(call, "custom"); /* a tool whose input is free text */
    hf_text function = custom.data != NULL ? custom : json_member(call, "function");
    struct block *block = reply_find(reply, index, 0);

    if (block == NULL) {
        struct text opening = {0};
        put_string(&opening, "type", "tool_use");
        put_member(&opening, "id", text_or(id, "\"\""));
        put_member(&opening, "name", text_or(json_member(function, "name"), "\"\""));
        put_member(&opening, "input", hf_text_of(custom.data != NULL ? "\"\"" : "{}"));
        text_puts(&opening, "}");
        block = reply_open(reply, index, 0, text_view(&opening));
        text_free(&opening);
    }
    hf_text arguments = json_member(function, "arguments"), input = json_member(function, "input");
    if (arguments.data != NULL)
        reply_grow_member(reply, block, "input_json_delta", "partial_json", arguments);
    else if (input.data != NULL)
        reply_grow_member(reply, block, "input_delta", "input", input);
}

static void apply_chat_delta(hf_text delta, struct reply *reply) {
    hf_text rest, key, value;
    for (long i = 0; i < CHAT_STRINGS; i++) {
        value = json_member(delta, chat_strings[i].key);
        if (json_body(value).size == 0) continue;
        reply_grow_member(reply, chat_block(reply, i), chat_strings[i].delta, chat_strings[i].field, value);
    }
    for (rest = json_member(delta, "annotations"); json_each(&rest, &key, &value);)
        reply_grow_member(reply, chat_block(reply, CHAT_CONTENT), "citations_delta", "citation", value);
    for (rest = json_member(delta, "tool_calls"); json_each(&rest, &key, &value);)
        apply_tool_call(value, reply);
}

static const char *apply_chat(hf_text chunk, struct reply *reply) {
    hf_text rest = json_member(chunk, "choices"), key, choice;
    while (json_each(&rest, &key, &choice)) {
        if (json_long(json_member(choice, "index")) != 0)
            return "it bears a second choice, and a reply is one";
        apply_chat_delta(json_member(choice, "delta"), reply);
        hf_text reason = json_member(choice, "finish_reason");
        if (reason.data == NULL) continue;
        reply_close_all(reply);
        text_add(&reply->stop_reason, reason);
        reply->ended = true;
    }
    return NULL;
}

/* ---- OpenAI, responses --------------------------------------------------------------------------- */

/*
 * An output item becomes a block under part ITEM, the parts of a message a block each under their own
 * numbers. Whole items come when they are done, and take the place of what the deltas gave; what the
 * deltas gave remains where a stream breaks off.
 */
enum { ITEM = -1 };

/* The calls of tools, and where their parts stand in an item. Items of other types are kept as they came. */
static const struct call {
    const char *item;
    const char *block;
    const char *name;  /* of the tool; NULL where the item says it */
    const char *input; /* the member of the item that is, or becomes, the input */
} calls[] = {
    {"function_call", "tool_use", NULL, "arguments"},
    {"custom_tool_call", "tool_use", NULL, "input"},
    {"shell_call", "tool_use", "shell", "action"},
    {"local_shell_call", "tool_use", "local_shell", "action"},
    {"apply_patch_call", "tool_use", "apply_patch", "operation"},
    {"web_search_call", "server_tool_use", "web_search", "action"},
    {"code_interpreter_call", "server_tool_use", "code_interpreter", "code"},
};

static void write_call(const struct call *call, hf_text item, struct text *out) {
    hf_text id = json_member(item, "id"), call_id = json_member(item, "call_id");
    hf_text input = json_member(item, call->input);

    put_string(out, "type", call->block);
    put_member(out, "id", call_id.data != NULL ? call_id : text_or(id, "\"\""));
    if (call->name != NULL)
        put_string(out, "name", call->name);
    else
        put_member(out, "name", text_or(json_member(item, "name"), "\"\""));
    if (strcmp(call->input, "arguments") == 0) { /* JSON text within a string */
        put_member(out, "input", hf_text_of("{}"));
        if (json_body(input).size > 0) put_member(out, "partial_json", input);
    } else if (strcmp(call->input, "code") == 0) {
        text_puts(out, ",\"input\":{\"code\":");
        text_add(out, text_or(input, "\"\""));
        text_puts(out, "}");
    } else {
        put_member(out, "input", text_or(input, "{}"));
    }
    if (call_id.data != NULL) put_member(out, "item_id", id);
    put_member(out, "container_id", json_member(item, "container_id"));
    text_puts(out, "}");
}

/* Reasoning is one text: its parts, with a blank line between them. */
static void write_reasoning(hf_text item, struct text *out) {
    static const char *const lists[] = {"summary", "content"};
    struct text thinking = {0};
    hf_text rest, key, part;
    for (size_t i = 0; i < 2; i++) {
        for (rest = json_member(item, lists[i]); json_each(&rest, &key, &part);) {
            text_puts(&thinking, thinking.size == 0 ? "\"" : "\\n\\n");
            text_add(&thinking, text_or(json_body(json_member(part, "text")), ""));
        }
    }
    text_puts(&thinking, thinking.size == 0 ? "\"\"" : "\"");
    put_string(out, "type", "thinking");
    put_member(out, "thinking", text_view(&thinking));
    put_member(out, "item_id", json_member(item, "id"));
    put_member(out, "encrypted_content", json_member(item, "encrypted_content"));
    text_puts(out, "}");
    text_free(&thinking);
}

static void write_item(hf_text item, struct text *out) {
    hf_text type = json_member(item, "type");
    const struct call *call = NULL;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (json_is(type, calls[i].item)) call = &calls[i];
    if (call != NULL)
        write_call(call, item, out);
    else if (json_is(type, "reasoning"))
        write_reasoning(item, out);
    else
        text_add(out, item);
}

/* Opens the block of a part of a message: "output_text" is `text`, with its annotations as citations. */
static struct block *open_part(struct reply *reply, long index, long number, hf_text part) {
    if (part.data != NULL && !json_is(json_member(part, "type"), "output_text"))
        return reply_open(reply, index, number, part);
    hf_text annotations = json_member(part, "annotations");
    struct text opening = {0};
    put_string(&opening, "type", "text");
    put_member(&opening, "text", text_or(json_member(part, "text"), "\"\""));
    if (annotations.size > 2) put_member(&opening, "citations", annotations);
    text_puts(&opening, "}");
    struct block *block = reply_open(reply, index, number, text_view(&opening));
    text_free(&opening);
    return block;
}

static void finish_message(struct reply *reply, long index, hf_text item) {
    hf_text rest = json_member(item, "content"), key, part;
    for (long number = 0; json_each(&rest, &key, &part); number++) {
        struct block *block = reply_find(reply, index, number);
        reply_close(reply, block != NULL ? block : open_part(reply, index, number, part));
    }
}

static void finish_item(struct reply *reply, long index, hf_text item) {
    struct block *block = reply_find(reply, index, ITEM);
    struct text whole = {0};
    write_item(item, &whole);
    if (block == NULL)
        block = reply_open(reply, index, ITEM, text_view(&whole));
    else
        reply_replace(block, text_view(&whole));
    reply_close(reply, block);

    if (json_is(json_member(item, "type"), "code_interpreter_call")) {
        text_clear(&whole);
        put_string(&whole, "type", "code_interpreter_tool_result");
        put_member(&whole, "tool_use_id", json_member(item, "id"));
        put_member(&whole, "content", text_or(json_member(item, "outputs"), "[]"));
        text_puts(&whole, "}");
        reply_close(reply, reply_open(reply, index, ITEM, text_view(&whole)));
    }
    text_free(&whole);
}

static const char *apply_responses(hf_text chunk, struct reply *reply) {
    hf_text type = json_member(chunk, "type"), item = json_member(chunk, "item");
    hf_text delta = json_member(chunk, "delta"), part = json_member(chunk, "part");
    hf_text response = json_member(chunk, "response");
    long index = json_long(json_member(chunk, "output_index"));
    long number = json_long(json_member(chunk, "content_index"));
    bool message = json_is(json_member(item, "type"), "message");
    struct block *whole = reply_find(reply, index, ITEM);
    struct block *piece = reply_find(reply, index, number);

    if (json_is(type, "response.output_item.added")) {
        if (message) return NULL; /* its parts will come */
        struct text opening = {0};
        write_item(item, &opening);
        reply_open(reply, index, ITEM, text_view(&opening));
        text_free(&opening);
    } else if (json_is(type, "response.output_item.done")) {
        if (message)
            finish_message(reply, index, item);
        else
            finish_item(reply, index, item);
    } else if (json_is(type, "response.content_part.added")) {
        if (whole == NULL) open_part(reply, index, number, part);
    } else if (json_is(type, "response.content_part.done")) {
        if (piece != NULL) reply_close(reply, piece);
    } else if (json_is(type, "response.output_text.delta")) {
        if (piece == NULL) piece = open_part(reply, index, number, (hf_text){0});
        reply_grow_member(reply, piece, "text_delta", "text", delta);
    } else if (json_is(type, "response.output_text.annotation.added")) {
        if (piece == NULL) piece = open_part(reply, index, number, (hf_text){0});
        reply_grow_member(reply, piece, "citations_delta", "citation", json_member(chunk, "annotation"));
    } else if (json_is(type, "response.refusal.delta")) {
        if (piece == NULL) return "it belongs to a content part that is not open";
        reply_grow_member(reply, piece, "refusal_delta", "refusal", delta);
    } else if (json_is(type, "response.reasoning_summary_part.added")) {
        if (whole != NULL && json_long(json_member(chunk, "summary_index")) > 0)
            reply_grow_member(reply, whole, "thinking_delta", "thinking", hf_text_of("\"\\n\\n\""));
    } else if (json_is(type, "response.completed") || json_is(type, "response.incomplete")) {
        hf_text reason = json_member(json_member(response, "incomplete_details"), "reason");
        if (reason.data == NULL) reason = json_member(response, "status");
        text_add(&reply->stop_reason, text_or(reason, ""));
        reply_close_all(reply);
        reply->ended = true;
    } else if (whole != NULL && !whole->closed && ends_with(type, ".delta") &&
               json_body(delta).data != NULL) {
        if (starts_with(type, "response.reasoning_"))
            reply_grow_member(reply, whole, "thinking_delta", "thinking", delta);
        else if (ends_with(type, "_arguments.delta"))
            reply_grow_member(reply, whole, "input_json_delta", "partial_json", delta);
        else
            reply_grow_member(reply, whole, "input_delta", "partial_input", delta);
    }
    return NULL;
}

/* ---- Any provider -------------------------------------------------------------------------------- */

static enum { FOREIGN, ANTHROPIC, CHAT, RESPONSES } format_of(hf_text chunk) {
    hf_text type = json_member(chunk, "type");
    if (json_member(chunk, "choices").data != NULL) return CHAT;
    if (starts_with(type, "response.")) return RESPONSES;
    if (starts_with(type, "message_") || starts_with(type, "content_block_") || json_is(type, "ping"))
        return ANTHROPIC;
    return FOREIGN;
}

/* The three spellings of a failure: an "error" event, an object under "error", a response that failed. */
static bool look_failure(hf_text chunk, struct text *failure) {
    hf_text type = json_member(chunk, "type");
    hf_text error = json_member(chunk, "error");
    bool failed = json_is(type, "response.failed");
    if (failed) error = json_member(json_member(chunk, "response"), "error");
    if (!failed && error.data == NULL && !json_is(type, "error")) return false;

    hf_text message = json_member(error.data != NULL ? error : chunk, "message");
    char *decoded = json_decode(message.data != NULL ? message : error);
    text_puts(failure, "the provider reports: ");
    text_puts(failure, decoded != NULL ? decoded : "an error without a message");
    free(decoded);
    return true;
}

enum chunk_kind chunk_look(hf_text chunk, const struct reply *reply, struct origin *origin,
                           struct text *failure) {
    hf_text type = json_member(chunk, "type"), first = chunk;
    bool begins = false;

    if (look_failure(chunk, failure)) return CHUNK_FAILS;
    switch (format_of(chunk)) {
    case FOREIGN: return CHUNK_FOREIGN;
    case ANTHROPIC:
        if (json_is(type, "ping")) return CHUNK_IDLE;
        *origin = (struct origin){.provider = "anthropic", .api = "messages"};
        begins = json_is(type, "message_start");
        first = json_member(chunk, "message");
        break;
    case CHAT:
        if (json_member(chunk, "choices").size <= 2) return CHUNK_IDLE; /* "[]" */
        *origin = (struct origin){.provider = "openai", .api = "chat.completions"};
        begins = !same_text(json_member(chunk, "id"), text_view(&reply->id));
        if (reply->ended && !begins && reply->id.size > 0)
            return CHUNK_IDLE; /* figures, with an empty choice */
        begins = begins || !reply->open;
        break;
    case RESPONSES:
        *origin = (struct origin){.provider = "openai", .api = "responses"};
        begins = json_is(type, "response.created");
        first = json_member(chunk, "response");
        break;
    }
    origin->model = json_member(first, "model");
    origin->id = json_member(first, "id");
    return begins ? CHUNK_BEGINS : CHUNK_GOES_ON;
}

const char *chunk_apply(hf_text chunk, struct reply *reply) {
    switch (format_of(chunk)) {
    case ANTHROPIC: return apply_anthropic(chunk, reply);
    case CHAT: return apply_chat(chunk, reply);
    case RESPONSES: return apply_responses(chunk, reply);
    default: return NULL;
    }
}
