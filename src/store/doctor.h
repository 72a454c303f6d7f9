/* Looks a store over, and repairs what can be. */
#ifndef HF_STORE_DOCTOR_H
#define HF_STORE_DOCTOR_H

#include <stdbool.h>

#include "base/buf.h"

/* Writes the report of hf_doctor_json, as one object. Errors as that has them. */
int hf__store_doctor(const char *path, bool repair, hf__buf *out, hf_error *err);

#endif
