/* A program in C that uses the installed Holdfast: a layer in Lua, a message, and a look at what was stored. */
#include <holdfast.h>
#include <stdio.h>
#include <string.h>

static const char shout[] = "return {name = 'shout', ops = {'add'}, handle = function(op, next)\n"
                            "  op.content = op.content:upper()\n"
                            "  return next(op)\n"
                            "end}";

static int run(hf_store *store, hf_error *err) {
    hf_text none = {NULL, 0};
    hf_op create = {.op = "createConversation", .conversation_id = hf_text_of("c1")};
    hf_op add = {.op = "add",
                 .conversation_id = hf_text_of("c1"),
                 .role = hf_text_of("user"),
                 .content = hf_text_of("hello")};
    hf_op list = {.op = "list", .conversation_id = hf_text_of("c1")};
    hf_result result = {0};
    int code = hf_use_string(store, "shout", hf_text_of(shout), none, err);
    if (code == HF_OK) code = hf_exec(store, &create, NULL, err);
    if (code == HF_OK) code = hf_exec(store, &add, NULL, err);
    if (code == HF_OK) code = hf_exec(store, &list, &result, err);
    if (code == HF_OK &&
        (result.messages_count != 1 || strcmp(result.messages[0].content.data, "HELLO") != 0)) {
        snprintf(err->message, sizeof err->message, "expected one message, HELLO; found %zu",
                 result.messages_count);
        code = HF_INTERNAL;
    }
    hf_result_free(&result);
    return code;
}

int main(void) {
    hf_store *store = NULL;
    hf_error err = {0};
    int code = hf_open(":memory:", NULL, &store, &err);
    if (code == HF_OK) code = run(store, &err);
    hf_close(store);
    if (code != HF_OK) {
        fprintf(stderr, "%s: %s\n", hf_code_name(code), err.message);
        return 1;
    }
    return 0;
}
