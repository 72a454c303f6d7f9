/* Ends an inclusion of ops.def: forgets the macros that gave it meaning. No include guard, on purpose. */
#undef HF_ROW
#undef HF_COLUMN
#undef HF_ROW_END
#undef HF_OP
#undef HF_FIELD
#undef HF_SUBFIELD
#undef HF_RESULT
#undef HF_OP_END
