/* The header and the library that runs are of one version. */
#include <stdio.h>
#include <string.h>

#include "holdfast.h"

int main(void) {
    char parts[32];
    snprintf(parts, sizeof parts, "%d.%d.%d", HF_VERSION_MAJOR, HF_VERSION_MINOR, HF_VERSION_PATCH);
    if (strcmp(HF_VERSION, parts) != 0) {
        fprintf(stderr, "HF_VERSION is %s, its parts say %s\n", HF_VERSION, parts);
        return 1;
    }
    if (strcmp(HF_VERSION, hf_version()) != 0) {
        fprintf(stderr, "the header is of version %s, the library of version %s\n", HF_VERSION, hf_version());
        return 1;
    }
    return 0;
}
