/* The stock Lua files, as bytes within the library: a host depends on no package.path. */
#ifndef HF_SCRIPT_STOCK_H
#define HF_SCRIPT_STOCK_H

#include <stddef.h>

typedef struct {
    const char *name; /* "holdfast.middleware.redact" */
    const char *source;
    size_t size;
} hf__stock_module;

extern const hf__stock_module hf__stock_modules[];
extern const size_t hf__stock_modules_count;

#endif
