/*
 * The smallest host: open a store, put one layer in front of it, add two messages, list them.
 *
 *     embed [STORE]
 *
 * Without a path the store is made in a new folder under /tmp, and stays there to be looked at.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "holdfast.h"

#include <stdio.h>
#include <stdlib.h>

/* The layer: it counts the words of every message and stores the number beside it. */
static const char layer[] = "return {ops = {'add'}, handle = function(op, next)\n"
                            "  local _, words = op.content:gsub('%S+', '')\n"
                            "  op.metadata = op.metadata or {}\n"
                            "  op.metadata.words = words\n"
                            "  return next(op)\n"
                            "end}\n";

static int fail(hf_store *store, const hf_error *err) {
    fprintf(stderr, "embed: %s%s%s: %s\n", err->name, err->layer[0] != '\0' ? " in layer " : "", err->layer,
            err->message);
    hf_close(store);
    return EXIT_FAILURE;
}

int main(int argc, char **argv) {
    char made[64] = "/tmp/holdfast-XXXXXX";
    const char *path = argc > 1 ? argv[1] : made;
    if (argc <= 1 && mkdtemp(made) == NULL) {
        perror("embed: a folder under /tmp");
        return EXIT_FAILURE;
    }
    if (argc <= 1) strcat(made, "/embed.db");

    hf_error err;
    hf_store *store = NULL;
    if (hf_open(path, NULL, &store, &err) != HF_OK) return fail(store, &err);
    if (hf_use_string(store, "words", hf_text_of(layer), (hf_text){0}, &err) != HF_OK)
        return fail(store, &err);

    /* An op is a zeroed struct with the fields that it needs. Making a conversation that is there
     * already gives the one that is stored, so the program may run again on the same file. */
    hf_op create = {.op = "createConversation", .conversation_id = hf_text_of("greetings")};
    if (hf_exec(store, &create, NULL, &err) != HF_OK) return fail(store, &err);

    hf_op add = {.op = "add", .conversation_id = create.conversation_id};
    add.role = hf_text_of("user");
    add.content = hf_text_of("Good morning! Is the kettle on?");
    if (hf_exec(store, &add, NULL, &err) != HF_OK) return fail(store, &err);
    add.role = hf_text_of("assistant");
    add.content = hf_text_of("It is, and the toast is nearly done.");
    if (hf_exec(store, &add, NULL, &err) != HF_OK) return fail(store, &err);

    /* A result belongs to the caller; what it shows lives until hf_result_free. Its texts end in NUL. */
    hf_result result = {0};
    hf_op list = {.op = "list", .conversation_id = create.conversation_id};
    if (hf_exec(store, &list, &result, &err) != HF_OK) return fail(store, &err);
    for (size_t i = 0; i < result.messages_count; i++) {
        const hf_message *message = &result.messages[i];
        printf("%-9s  %s  %s\n", message->role.data, message->content.data, message->metadata.data);
    }
    hf_result_free(&result);
    hf_close(store);
    printf("stored in %s\n", path);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
