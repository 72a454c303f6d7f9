/*
 * The program `holdfast`: reads the command line, opens the store for a command, and hands over to it.
 * Each command has a file of its own; what they share is in cli.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/output.h"

/* ---- The commands ------------------------------------------------------------------------------ */

/* The options of a command are a set of these; the last one says that it takes no store. */
enum {
    USE = 1,
    DURABILITY = 2,
    ATOMIC = 4,
    JSON = 8,
    HELP = 16,
    TRACE = 32,
    WATCH = 64,
    VIEW = 128,
    AFTER = 256,
    FOLLOW = 512,
    CONVERSATION = 1024,
    LIMIT = 2048,
    FINAL = 4096,
    ABORT = 8192,
    REPAIR = 16384,
    NO_STORE = 32768,
};

static const struct option options[] = {
    {"use", required_argument, NULL, USE},
    {"durability", required_argument, NULL, DURABILITY},
    {"atomic", no_argument, NULL, ATOMIC},
    {"json", no_argument, NULL, JSON},
    {"help", no_argument, NULL, HELP},
    {"trace", required_argument, NULL, TRACE},
    {"watch", no_argument, NULL, WATCH},
    {"view", required_argument, NULL, VIEW},
    {"after", required_argument, NULL, AFTER},
    {"follow", no_argument, NULL, FOLLOW},
    {"conversation", required_argument, NULL, CONVERSATION},
    {"limit", required_argument, NULL, LIMIT},
    {"final", no_argument, NULL, FINAL},
    {"abort", no_argument, NULL, ABORT},
    {"repair", no_argument, NULL, REPAIR},
    {NULL, 0, NULL, 0},
};

/* What --help says of each option that a command has. */
static const struct {
    int option;
    const char *text;
} option_help[] = {
    {USE, "  --use FILE[=JSON]   add a layer at the inner end of the chain: a Lua file, or a bare name\n"
          "                      such as redact for a stock one; JSON is its configuration. May be\n"
          "                      repeated; the first one is the outermost\n"},
    {DURABILITY,
     "  --durability WHICH  full (the default): an acknowledged write survives a power cut;\n"
     "                      normal: a crash loses nothing, a power cut may lose the last commits\n"},
    {ATOMIC, "  --atomic            run all lines as one batch: where one fails, nothing is stored\n"},
    {TRACE,
     "  --trace FILE        append a JSON line to FILE for each op: what each layer did, and how long\n"
     "                      it took\n"},
    {WATCH, "  --watch             load the layers anew when a file of theirs has changed, between two ops;\n"
            "                      where one does not load, the old ones go on\n"},
    {VIEW, "  --view DIR          the folder of the disk view: text files beside the store, a line for each\n"
           "                      message that was added with syncToDisk\n"},
    {AFTER, "  --after N           leave out the deltas through seq N, which were seen already\n"},
    {FOLLOW, "  --follow            go on until the message is final, aborted or interrupted\n"},
    {CONVERSATION, "  --conversation ID   look in that conversation only\n"},
    {LIMIT, "  --limit N           print N hits at most; 20 where it is left out\n"},
    {FINAL, "  --final             make them final, with the text that they have\n"},
    {ABORT, "  --abort             abort them\n"},
    {REPAIR, "  --repair            repair what can be\n"},
    {JSON, "  --json              print JSON\n"},
    {HELP, "  --help              print this\n"},
};

static const struct command {
    const char *name, *arguments, *summary;
    int options;
    size_t min_args, max_args; /* beside the store */
    int (*run)(const hf__cli *cli);
    const char *help;
} commands[] = {
    {"run", "STORE [FILE]...", "run ops, given as JSON lines",
     USE | DURABILITY | ATOMIC | TRACE | WATCH | VIEW | HELP, 0, SIZE_MAX, hf__cli_run,
     "Runs the ops in the files, or on standard input, one JSON object a line, and prints one JSON\n"
     "result a line, in order, each before the next op is read. For an op that failed the line is\n"
     "{\"op\":...,\"line\":N,\"error\":{\"code\":...,\"message\":...}}, and the ops after it still run.\n"
     "What the layers see as ctx stands beside the op's fields: \"ctx\":{\"requestId\":...,...}.\n"
     "Makes the store where there is none. \"-\" is standard input.\n"},
    {"explain", "STORE [FILE]", "show what the layers would do to an op", USE | JSON | HELP, 0, 1,
     hf__cli_explain,
     "Runs one op, given as JSON in the file or on standard input, through the layers and the store,\n"
     "undoes all of it, and shows each layer's part in it: what it changed on the way in and on the\n"
     "way out, how long it took, and what would have been stored. Exits with 1 where the op would fail.\n"},
    {"ls", "STORE", "list the conversations", USE | JSON | HELP, 0, 0, hf__cli_ls,
     "Lists the conversations, newest activity first: id, time of the last change (UTC) and title,\n"
     "separated by tabs; and behind another tab \"unseen\", where the newest answer was not seen yet, and\n"
     "\"fork of ID\".\n"},
    {"show", "STORE CONVERSATION", "show the messages of a conversation", USE | JSON | HELP, 1, 1,
     hf__cli_show,
     "Prints the messages of a conversation, oldest first; of one that is not final its state, and the\n"
     "text so far.\n"},
    {"search", "STORE QUERY", "find messages by their words", CONVERSATION | LIMIT | JSON | HELP, 1, 1,
     hf__cli_search,
     "Prints the messages that have all the words, best first: conversation, message, role, time (UTC)\n"
     "and the words around what was found, separated by tabs. QUERY may also say \"a phrase\", wor*, and\n"
     "AND, OR, NOT, as FTS5 of SQLite reads them. No hits are no failure.\n"},
    {"tail", "STORE MESSAGE", "print what a message has got so far", AFTER | FOLLOW | JSON | HELP, 1, 1,
     hf__cli_tail,
     "Prints the text that a message has got so far as it is, so that a file of it is the content; and on\n"
     "standard error the message's state and its last seq. With --follow also what comes, until the\n"
     "message is settled. Whoever writes it is left alone; where the writer dies, the message is found\n"
     "interrupted within a second or two.\n"
     "\n"
     "A final message has no deltas any more. What of its content was not printed yet is; but where the\n"
     "content does not go on from what was printed, or --after says that an unknown part was seen, that\n"
     "is said and the exit status is 1: print it anew without --after.\n"
     "\n"
     "With --json a line for each delta, {\"seq\":N,\"delta\":...}, and at the end one of the state,\n"
     "{\"state\":...,\"seq\":N}, which for a final message bears its whole \"content\" as well.\n"},
    {"recover", "STORE [MESSAGE]...", "settle interrupted messages", FINAL | ABORT | USE | JSON | HELP, 0,
     SIZE_MAX, hf__cli_recover,
     "Lists the messages that were being written when their writer died: message, conversation, role,\n"
     "bytes, last seq, time (UTC) and state, separated by tabs; all of them, or those that are named.\n"
     "With --final or --abort they are settled, and listed with their new state. Layers see that as\n"
     "updateContent and abort. What never got a delta has nothing to be final with: it is aborted.\n"},
    {"import", "STORE FILE...", "store chat histories", USE | DURABILITY | TRACE | HELP, 1, SIZE_MAX,
     hf__cli_import,
     "Stores chat histories: JSON lines of {\"id\",\"title\",\"messages\":[{\"role\",\"content\",...}]}.\n"
     "Each dialog is stored as a whole or not at all, and every message passes the layers. What is\n"
     "there already is left as it is, so importing again adds nothing, and a dialog that grew adds\n"
     "what is new. Makes the store where there is none. \"-\" is standard input.\n"
     "\n"
     "A chat history is no backup: states, times, ids of messages and other metadata are not part of\n"
     "it; a copy with .backup or VACUUM INTO of the sqlite3 shell has them all. Times in the input are\n"
     "kept as keys, and createdAt is the time of import. Refused are integers beyond 64 bits, numbers\n"
     "of more than 17 digits, NUL characters and lone surrogates.\n"},
    {"export", "STORE", "print the conversations as chat histories", USE | HELP, 0, 0, hf__cli_export,
     "Prints each conversation as one JSON line of {\"id\",\"title\",\"messages\":[...]}, oldest\n"
     "activity first: what import took in comes out as the same JSON values. Messages that are not\n"
     "final, times, ids of messages and other metadata are left out: this is no backup.\n"},
    {"view rebuild", "STORE", "write the disk view anew", VIEW | HELP, 0, 0, hf__cli_view_rebuild,
     "Writes the folder of --view anew from what the store holds: for each conversation its final\n"
     "messages, one JSON line each, in messages.jsonl, and a meta.json beside them. Each file takes the\n"
     "place of the old one at once. Folders of conversations that are gone are removed; what the view\n"
     "did not write stays as it is.\n"},
    {"doctor", "STORE", "look a store over", REPAIR | JSON | HELP, 0, 0, hf__cli_doctor,
     "Looks at the file's integrity, the version, messages of writers that died, the search index, rows\n"
     "that refer to what is gone, streams with gaps, rows that cannot be read, and the WAL, and prints a\n"
     "line for each. It only reads, and may be run while the store is used.\n"
     "\n"
     "With --repair it settles what dead writers left, makes the search index anew where it is wrong, and\n"
     "deletes what belongs to nothing, all in one transaction, for which other writers have to wait. What\n"
     "SQLite calls damaged is not repaired: restore a backup. Make a copy first.\n"
     "\n"
     "Exits with 0 where nothing is wrong, or is no more; 1 where something is; 3 where it is no store.\n"},
    {"stats", "STORE", "print how large a store is", JSON | HELP, 0, 0, hf__cli_stats,
     "Prints how many rows of each kind there are, the size of the database, of its pages that are free, "
     "and\n"
     "of the WAL, a line for each, and says where a reader keeps a long WAL from being brought into the\n"
     "database. --json prints what hf_stats_json gives; writes and commits there are this command's own, "
     "none.\n"
     "Messages that are aborted or interrupted are counted among the messages, and not apart. The store is\n"
     "opened for it as for any op: what dead writers left becomes interrupted; doctor only looks.\n"},
    {"check", "FILE[=JSON]...", "check middleware files", HELP | NO_STORE, 1, SIZE_MAX, hf__cli_check,
     "Loads each middleware file, looks for names that the sandbox does not have, runs every kind of op\n"
     "through it in stores of its own, and prints what is wrong as FILE:LINE: MESSAGE. JSON is the\n"
     "configuration that the file is given.\n"},
    {"spec", "[PATH]... [-- OPTION...]", "run busted specs", HELP | NO_STORE, 0, SIZE_MAX, hf__cli_spec,
     "Runs busted on the specs, with this very engine as the module holdfast. What follows \"--\" goes to\n"
     "busted as it is. HOLDFAST_LUA and HOLDFAST_BUSTED name the programs where they are not found.\n"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const char *const exit_help =
    "Exit status: 0 all well; 1 an op, a check or a spec failed; 2 wrong usage; 3 the store or a layer\n"
    "could not be opened.\n";

/* ---- Help -------------------------------------------------------------------------------------- */

static int print(hf__buf *text) {
    if (text->size > 0 && text->data[text->size - 1] == '\n') text->size--;
    hf__out_line(hf__buf_view(text));
    hf__buf_free(text);
    return HF__EXIT_OK;
}

static int print_help(void) {
    hf__buf text;
    hf__buf_init(&text, 0);
    hf__buf_string(&text, "usage: holdfast COMMAND [OPTION]... STORE\n\n"
                          "Keeps conversations in a SQLite file, behind middleware written in Lua.\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        char usage[64], line[128];
        snprintf(usage, sizeof usage, "%-7s %s", commands[i].name, commands[i].arguments);
        snprintf(line, sizeof line, "  %-32s %s\n", usage, commands[i].summary);
        hf__buf_string(&text, line);
    }
    hf__buf_string(&text, "  version                          print the version\n\n"
                          "holdfast COMMAND --help says more of each.\n");
    hf__buf_string(&text, exit_help);
    return print(&text);
}

static int print_command_help(const struct command *command) {
    hf__buf text;
    hf__buf_init(&text, 0);
    hf__buf_string(&text, "usage: holdfast ");
    hf__buf_string(&text, command->name);
    hf__buf_string(&text, " [OPTION]... ");
    hf__buf_string(&text, command->arguments);
    hf__buf_string(&text, "\n\n");
    hf__buf_string(&text, command->help);
    hf__buf_char(&text, '\n');
    for (size_t i = 0; i < sizeof option_help / sizeof option_help[0]; i++)
        if (command->options & option_help[i].option) hf__buf_string(&text, option_help[i].text);
    hf__buf_char(&text, '\n');
    hf__buf_string(&text, exit_help);
    return print(&text);
}

static int print_version(void) {
    char line[64];
    snprintf(line, sizeof line, "holdfast %s", hf_version());
    hf__out_line(hf_text_of(line));
    return HF__EXIT_OK;
}

/* ---- The command line -------------------------------------------------------------------------- */

/* Takes a number from `least` on; false where the value is none, which has then been said. */
static bool read_number(const struct command *command, const char *name, int64_t least, int64_t *out) {
    char *end;
    errno = 0;
    long long number = strtoll(optarg, &end, 10);
    *out = number;
    if (errno == 0 && end != optarg && *end == '\0' && number >= least) return true;
    hf__out_note("%s: --%s is a number from %d on, not \"%s\"", command->name, name, (int)least, optarg);
    return false;
}

/* Reads the command line into `cli`; false where it is wrong, which has then been said. `help` is set
 * where it asks for that and nothing else counts. */
static bool read_command_line(const struct command *command, int argc, char **argv, hf__cli *cli,
                              bool *help) {
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (option == ':') {
            hf__out_note("%s: %s needs a value", command->name, argv[optind - 1]);
            return false;
        }
        if (option == '?' || !(command->options & option)) {
            hf__out_note("%s: %s: unknown option, or one that takes no value", command->name,
                         argv[optind - 1]);
            return false;
        }
        if (option == HELP) return *help = true;
        if (option == USE) cli->uses[cli->uses_count++] = hf__use_of(optarg);
        if (option == TRACE) cli->trace = optarg;
        if (option == VIEW) cli->view = optarg;
        if (option == WATCH) cli->watch = true;
        if (option == ATOMIC) cli->atomic = true;
        if (option == JSON) cli->json = true;
        if (option == FOLLOW) cli->follow = true;
        if (option == REPAIR) cli->repair = true;
        if (option == FINAL) cli->final = true;
        if (option == ABORT) cli->abort = true;
        if (option == CONVERSATION) cli->conversation = optarg;
        if (option == AFTER && !read_number(command, "after", 0, &cli->after)) return false;
        if (option == LIMIT && !read_number(command, "limit", 1, &cli->limit)) return false;
        if (option == DURABILITY) {
            if (strcmp(optarg, "full") != 0 && strcmp(optarg, "normal") != 0) {
                hf__out_note("%s: --durability is full or normal, not \"%s\"", command->name, optarg);
                return false;
            }
            cli->durability = optarg[0] == 'f' ? HF_DURABILITY_FULL : HF_DURABILITY_NORMAL;
        }
    }
    if (cli->final && cli->abort) {
        hf__out_note("%s: --final and --abort are two ways to settle a message: choose one", command->name);
        return false;
    }
    size_t given = (size_t)(argc - optind);
    if (!(command->options & NO_STORE)) {
        if (optind == argc) {
            hf__out_note("%s: STORE is missing", command->name);
            return false;
        }
        cli->store = argv[optind++];
    }
    cli->args = argv + optind;
    cli->args_count = (size_t)(argc - optind);
    if (cli->args_count < command->min_args || cli->args_count > command->max_args) {
        hf__out_note("%s: expected %s, found %zu argument%s", command->name, command->arguments, given,
                     given == 1 ? "" : "s");
        return false;
    }
    return true;
}

static int run_command(const struct command *command, int argc, char **argv) {
    hf__cli cli = {0};
    bool help = false;
    int status = HF__EXIT_USAGE;
    cli.uses = calloc((size_t)argc + 1, sizeof *cli.uses);
    if (cli.uses == NULL) {
        hf__out_note("out of memory");
        return HF__EXIT_FAILED;
    }
    if (!read_command_line(command, argc, argv, &cli, &help))
        hf__out_note("try: holdfast %s --help", command->name);
    else
        status = help ? print_command_help(command) : command->run(&cli);
    free(cli.uses);
    return status;
}

/* How many words of the command line name the command, 0 where they do not. */
static int words_of(const struct command *command, int argc, char **argv) {
    const char *space = strchr(command->name, ' ');
    if (space == NULL) return argc > 1 && strcmp(argv[1], command->name) == 0 ? 1 : 0;
    size_t size = (size_t)(space - command->name);
    bool same = argc > 2 && strlen(argv[1]) == size && memcmp(argv[1], command->name, size) == 0 &&
                strcmp(argv[2], space + 1) == 0;
    return same ? 2 : 0;
}

/* The command whose first word that is, of several; or NULL. */
static const struct command *command_in_part(const char *word) {
    size_t size = strlen(word);
    for (size_t i = 0; i < COMMANDS && size > 0; i++)
        if (strncmp(commands[i].name, word, size) == 0 && commands[i].name[size] == ' ') return &commands[i];
    return NULL;
}

int main(int argc, char **argv) {
    hf__out_start();
    int status = -1;
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        status = print_help();
    else if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0)
        status = print_version();
    for (size_t i = 0; i < COMMANDS && status < 0; i++) {
        int words = words_of(&commands[i], argc, argv);
        if (words > 0) status = run_command(&commands[i], argc - words, argv + words);
    }
    if (status < 0) {
        const struct command *half = command_in_part(name);
        if (half != NULL)
            hf__out_note("%s: expected holdfast %s", name, half->name);
        else
            hf__out_note(name[0] == '\0' ? "a command is missing%s" : "unknown command: %s", name);
        hf__out_note("try: holdfast --help");
        status = HF__EXIT_USAGE;
    }
    if (hf__out_flush() != 0 && status == HF__EXIT_OK) status = HF__EXIT_FAILED;
    return status;
}

/* ---- For the commands -------------------------------------------------------------------------- */

int hf__cli_check_files(const hf__cli *cli) {
    for (size_t i = 0; i < cli->args_count; i++) {
        if (strcmp(cli->args[i], "-") == 0 || access(cli->args[i], R_OK) == 0) continue;
        hf__out_note("%s: %s", cli->args[i], strerror(errno));
        return HF__EXIT_USAGE;
    }
    return HF__EXIT_OK;
}

hf__use hf__use_of(char *argument) {
    char *config = strchr(argument, '=');
    while (config != NULL && (config[1] == '\0' || strchr("{[\"", config[1]) == NULL)) /* of the path */
        config = strchr(config + 1, '=');
    if (config == NULL) return (hf__use){argument, NULL};
    *config = '\0';
    return (hf__use){argument, config + 1};
}

void hf__cli_note_file(const char *option, const char *path, const char *message) {
    size_t size = strlen(path);
    bool named = strncmp(message, path, size) == 0 && message[size] == ':';
    hf__out_note("%s%s%s%s", option, named ? "" : path, named ? "" : ": ", message);
}

int hf__cli_check_store(const hf__cli *cli) {
    struct stat file;
    if (stat(cli->store, &file) != 0)
        hf__out_note("%s: %s", cli->store, errno == ENOENT ? "there is no such store" : strerror(errno));
    else if (S_ISREG(file.st_mode) && file.st_size == 0)
        hf__out_note("%s: there is no store in it, the file is empty", cli->store);
    else
        return HF__EXIT_OK;
    return HF__EXIT_STORE;
}

int hf__cli_open(const hf__cli *cli, bool create, hf_store **out) {
    hf_error err;
    hf_options settings = {.size = sizeof settings,
                           .durability = cli->durability,
                           .max_batch = cli->max_batch,
                           .view_dir = cli->view,
                           .log = hf__out_log};
    int status = create ? HF__EXIT_OK : hf__cli_check_store(cli);
    if (status != HF__EXIT_OK) return status;
    if (cli->trace != NULL && hf__out_trace_open(cli->trace) != 0) {
        hf__out_note("--trace %s: %s", cli->trace, strerror(errno));
        return HF__EXIT_USAGE;
    }
    if (cli->trace != NULL) settings.trace = hf__out_trace;
    if (hf_open(cli->store, &settings, out, &err) != HF_OK) {
        hf__cli_note_file("", cli->store, err.message);
        return HF__EXIT_STORE;
    }
    for (size_t i = 0; i < cli->uses_count; i++) {
        const hf__use *use = &cli->uses[i];
        if (hf_use_file(*out, use->path, hf_text_of(use->config), &err) == HF_OK) continue;
        hf__cli_note_file("--use ", use->path, err.message);
        hf_close(*out);
        *out = NULL;
        return HF__EXIT_STORE;
    }
    return HF__EXIT_OK;
}

bool hf__cli_batch_index(hf_error *err, size_t *index) {
    if (strncmp(err->message, "ops[", 4) != 0) return false;
    char *end;
    *index = strtoul(err->message + 4, &end, 10);
    if (strncmp(end, "]: ", 3) != 0) return false;
    memmove(err->message, end + 3, strlen(end + 3) + 1);
    return true;
}
