/* Whose the service is: what the settings say about it, looked up. */
#pragma once

#include "base/text.h"
#include "core/settings.h"
#include "sys/credentials.h"

/* Returns 0 and owned credentials, or negative errno with one line in error: no such user or group,
 * or holdfast has not the right to switch to it. */
int hf_identity_find(const HfSettings *settings, HfCredentials *ret, HfText *error);
