/* What happened: each thing once, to the log, to a short memory, and to whoever subscribed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/strtab.h"

#define HF_NOTICES_KEPT       64
#define HF_NOTICE_TEXT_MAX    512 /* bytes that are kept and passed on; the log gets all */
#define HF_NOTICE_SUBSCRIBERS 4

/* Stable names: signals, status and event hooks use them. */
typedef enum HfNoticeName {
    HF_NOTICE_READY,         /* generation is active */
    HF_NOTICE_DRAINING,      /* generation was asked to leave */
    HF_NOTICE_HURRIED,       /* generation did not leave in time */
    HF_NOTICE_GONE,          /* generation has left, with all its processes */
    HF_NOTICE_CRASHED,       /* generation was active and left unasked */
    HF_NOTICE_LEAVING,       /* generation was active and leaves by itself */
    HF_NOTICE_RESUMED,       /* generation is active again, its successor was lost */
    HF_NOTICE_START_FAILED,  /* and no generation is active */
    HF_NOTICE_RELOAD_FAILED, /* a replacement of whatever cause failed, the old one is active still
                              */
    HF_NOTICE_WAITING,       /* a replacement waits until a draining generation is gone */
    HF_NOTICE_RETRY,         /* no generation is active, the next start comes later */
    HF_NOTICE_OUTAGE,
    HF_NOTICE_RECOVERED,
    HF_NOTICE_HEALTHY, /* generation answers its probe again */
    HF_NOTICE_SATURATED,
    HF_NOTICE_HUNG,
    HF_NOTICE_UNHEALTHY,
    HF_NOTICE_QUEUE_HIGH,   /* a queue of connections stays nearly full */
    HF_NOTICE_QUEUE_NORMAL, /* it has room again */
    HF_NOTICE_STOPPING,
    HF_NOTICE_STOPPED,
    HF_NOTICE_UPGRADED,       /* holdfast's own program was replaced */
    HF_NOTICE_UPGRADE_FAILED, /* or not, and the old one goes on */
    HF_NOTICE_ADOPTED,        /* holdfast died, and goes on with what it left */
    HF_NOTICE_MAX_,
} HfNoticeName;
HF_STRTAB_DECLARE(hf_notice, HfNoticeName); /* ready, draining, hurried, ... */

typedef struct HfNotice {
    uint64_t realtime; /* usec, CLOCK_REALTIME */
    HfNoticeName name;
    int level;           /* of syslog(3) */
    uint64_t generation; /* 0: about none */
    const char *cause;   /* why that generation was started (hf_cause_name), or ""; static */
    char *text;          /* one or more lines of printable UTF-8 */
} HfNotice;

/* notice is valid during the call. May not publish. */
typedef void (*HfNoticeCallback)(const HfNotice *notice, void *userdata);

/* A zeroed one is empty. */
typedef struct HfNotices {
    HfNotice kept[HF_NOTICES_KEPT]; /* a ring; texts owned */
    size_t first;
    size_t n;
    struct {
        HfNoticeCallback callback;
        void *userdata;
    } subscribers[HF_NOTICE_SUBSCRIBERS];
    size_t n_subscribers;
} HfNotices;

void hf_notices_clear(HfNotices *notices);

/* For as long as notices lives. More than HF_NOTICE_SUBSCRIBERS cannot happen, and asserts. */
void hf_notices_subscribe(HfNotices *notices, HfNoticeCallback callback, void *userdata);

/* text: of any bytes and length. */
void hf_notices_publish(HfNotices *notices, HfNoticeName name, int level, uint64_t generation,
                        const char *cause, const char *text);

/* The nth kept notice, 0 for the oldest; n < notices->n. */
const HfNotice *hf_notices_get(const HfNotices *notices, size_t n);
