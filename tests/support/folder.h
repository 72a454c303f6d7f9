/* What lies in a folder, so that a test can tell whether anything was touched. */
#ifndef HF_TESTS_SUPPORT_FOLDER_H
#define HF_TESTS_SUPPORT_FOLDER_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Everything in the folder, names and bytes, as one number. Only while no store is open. */
static inline uint64_t folder_hash(const char *folder) {
    uint64_t sum = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        uint64_t hash = 14695981039346656037U;
        for (const char *c = entry->d_name; *c != '\0'; c++)
            hash = (hash ^ (unsigned char)*c) * 1099511628211U;
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        for (int c; (c = fgetc(file)) != EOF;)
            hash = (hash ^ (unsigned)c) * 1099511628211U;
        fclose(file);
        sum += hash; /* in whatever order the names come */
    }
    closedir(dir);
    return sum;
}

#endif
