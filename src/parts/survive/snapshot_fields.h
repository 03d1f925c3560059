/* What a snapshot consists of, in one table for both directions; of snapshot*.c alone. */
#pragma once

#include "parts/survive/snapshot.h"

typedef enum HfFieldType {
    HF_FIELD_UINT64,
    HF_FIELD_UNSIGNED,
    HF_FIELD_INT,
    HF_FIELD_BOOL,
    HF_FIELD_ENUM,
    HF_FIELD_TEXT,
    HF_FIELD_TEXTS,   /* a line each */
    HF_FIELD_NUMBERS, /* a line each */
    HF_FIELD_ADDRESS,
} HfFieldType;

typedef struct HfField {
    const char *key;
    HfFieldType type;
    size_t offset;
    const char *(*name)(int value); /* ENUM */
    int (*value)(const char *name);
} HfField;

/* The lines of one kind of object: KEY=VALUE, or NAME.INDEX.KEY=VALUE of a list. */
typedef struct HfFieldGroup {
    const char *name; /* NULL: the snapshot itself */
    const HfField *fields;
    size_t n_fields;
    /* Of a list: element i, or NULL above its end. */
    void *(*get)(HfSnapshot *snapshot, size_t i);
    void *(*add)(HfSnapshot *snapshot); /* NULL: its length is fixed */
    size_t maximum;                     /* elements of one that can grow */
} HfFieldGroup;

extern const HfFieldGroup hf_field_groups[];
extern const size_t hf_field_groups_n;
