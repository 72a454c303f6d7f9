/* A layer that keeps the memory which all scripts of a state share is found and stopped. */
#ifndef HF_CHAIN_HOARD_H
#define HF_CHAIN_HOARD_H

#include "chain/chain.h"

/* After a breach of the vm's memory budget, once no script runs: where the layers keep more than three quarters of it,
 * stops those that keep the most, and says so in `err`, which must not be NULL. The budget is begun anew. */
void hf__hoard_settle(hf__chain *chain, hf__vm *vm, hf_error *err);

#endif
