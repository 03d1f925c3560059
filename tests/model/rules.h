/* What must hold in every state and on every edge; the numbers are those of "The state machine" in
 * the design. */
#pragma once

typedef enum Rule {
    RULE_NONE,
    RULE_ONE_STARTING,
    RULE_ONE_ACTIVE,
    RULE_WANTED,
    RULE_OVERLAP,
    RULE_FAILED_SUCCESSOR,
    RULE_DEADLINE,
    RULE_LADDER,
    RULE_REPEAT,
    RULE_SLOT,
    RULE_BOUNDED,
    RULE_STOP_ENDS,
    RULE_ONE_ANSWER,
    RULE_OUTCOME,
    RULE_SERVES,
    RULE_EARLY_SIGNAL,
    RULE_LATE_SIGNAL,
    RULE_PLAN,
    RULE_TIMER,
    RULE_STABLE,
    RULE_EXIT,
    RULE_BACKLOG,
    RULE_ROOM,
    RULE_HURRY,
    RULE_PHASE,
    RULE_NUMBER,
    RULE_STRAY,
    RULE_MAX_,
} Rule;

const char *rule_text(Rule rule);
