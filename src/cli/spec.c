/*
 * `holdfast spec`: busted, run by Lua 5.4, with the engine that was built or installed beside this program
 * as the module `holdfast`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "cli/output.h"

/* Looks for a program of that name on PATH, as the shell would; one with a slash is taken as it is. */
static bool find_program(const char *name, char out[PATH_MAX]) {
    const char *path = strchr(name, '/') != NULL ? "" : getenv("PATH");
    for (bool more = path != NULL; more;) {
        const char *end = strchrnul(path, ':');
        int folder = (int)(end - path);
        int size = snprintf(out, PATH_MAX, "%.*s%s%s", folder, path, folder > 0 ? "/" : "", name);
        if (size > 0 && size < PATH_MAX && access(out, X_OK) == 0) return true;
        more = *end == ':';
        path = end + 1;
    }
    return false;
}

/* The first of the names that is a program, or the one that the variable names. */
static bool find_one(const char *variable, const char *const *names, char out[PATH_MAX]) {
    const char *given = getenv(variable);
    if (given != NULL && given[0] != '\0') {
        if (find_program(given, out)) return true;
        hf__out_note("spec: %s=%s: there is no such program", variable, given);
        return false;
    }
    for (size_t i = 0; names[i] != NULL; i++)
        if (find_program(names[i], out)) return true;
    return false;
}

/* Whether the file is a Lua script, rather than a wrapper that finds its own Lua. */
static bool is_lua_script(const char *path) {
    char line[256] = "";
    FILE *file = fopen(path, "rbe");
    if (file == NULL) return false;
    if (fgets(line, sizeof line, file) == NULL) line[0] = '\0';
    fclose(file);
    return line[0] == '#' && strstr(line, "lua") != NULL;
}

/* Where the engine's module is, and the Lua files beside it: in a build tree, or in an installed one. */
static bool find_engine(char cpath[PATH_MAX], char lpath[PATH_MAX]) {
    static const char *const places[][2] = {{"lua", "lua"}, {"../lib/lua/5.4", "../share/lua/5.4"}};
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size < 0) return false;
    program[size] = '\0';
    char *slash = strrchr(program, '/');
    if (slash == NULL) return false;
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char module[PATH_MAX];
        int length = snprintf(module, PATH_MAX, "%s/%s/holdfast.so", program, places[i][0]);
        if (length >= PATH_MAX - 16 || access(module, R_OK) != 0) continue;
        snprintf(cpath, PATH_MAX, "%.*s?.so", (int)(length - (int)strlen("holdfast.so")), module);
        length = snprintf(lpath, PATH_MAX, "%s/%s/?.lua", program, places[i][1]);
        if (length < PATH_MAX) return true;
    }
    hf__out_note("spec: the Lua module holdfast.so was looked for beside %s, and is not there", program);
    return false;
}

/* Puts the template before what Lua's variable says already. */
static bool prepend(const char *variable, const char *fallback, const char *template) {
    const char *before = getenv(variable);
    if (before == NULL) before = getenv(fallback);
    char *value;
    if (asprintf(&value, "%s;%s", template, before != NULL ? before : ";") < 0) return false;
    bool good = setenv(variable, value, 1) == 0;
    free(value);
    return good;
}

/* Runs the program and waits for it. What busted exits with counts failures, so any but 0 is one failure here. */
static int run(const char *const *args) {
    pid_t child;
    int ended;
    signal(SIGPIPE, SIG_DFL); /* for the child */
    int reason = posix_spawn(&child, args[0], NULL, NULL, (char **)(void *)args, environ);
    if (reason != 0) {
        hf__out_note("spec: %s: %s", args[0], strerror(reason));
        return HF__EXIT_FAILED;
    }
    signal(SIGINT, SIG_IGN); /* it reaches the child as well, which is the one to end */
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(ended) && WEXITSTATUS(ended) == 0 ? HF__EXIT_OK : HF__EXIT_FAILED;
}

int hf__cli_spec(const hf__cli *cli) {
    static const char *const luas[] = {"lua5.4", "lua54", "lua-5.4", "lua", NULL};
    static const char *const busteds[] = {"busted", NULL};
    char lua[PATH_MAX], busted[PATH_MAX], cpath[PATH_MAX], lpath[PATH_MAX];
    if (!find_one("HOLDFAST_BUSTED", busteds, busted)) {
        hf__out_note(
            "spec: busted is not installed: it is the package lua-busted of Debian, busted of LuaRocks");
        return HF__EXIT_USAGE;
    }
    bool script = is_lua_script(busted);
    if (script && !find_one("HOLDFAST_LUA", luas, lua)) {
        hf__out_note("spec: Lua 5.4 is not installed: busted needs the program lua5.4");
        return HF__EXIT_USAGE;
    }
    if (!find_engine(cpath, lpath)) return HF__EXIT_STORE;
    const char **args = hf__alloc((cli->args_count + 4) * sizeof *args);
    char option[PATH_MAX + 8];
    snprintf(option, sizeof option, "--cpath=%s", cpath); /* before any that .busted names */
    if (args == NULL || !prepend("LUA_PATH_5_4", "LUA_PATH", lpath)) {
        hf__free(args);
        hf__out_note("out of memory");
        return HF__EXIT_FAILED;
    }
    size_t count = 0;
    if (script) args[count++] = lua;
    args[count++] = busted;
    args[count++] = option;
    for (size_t i = 0; i < cli->args_count; i++)
        args[count++] = cli->args[i];
    args[count] = NULL;
    int status = run(args);
    hf__free(args);
    return status;
}
