/* Whose the service is: what the settings say about it, looked up. */
#pragma once

#include "base/text.h"
#include "config/settings.h"
#include "kernel/credentials.h"
#include "run/names.h"

/* names: asked for the service of these settings. Returns 0 and owned credentials, or negative
 * errno with one line in error: no such user or group, or holdfast has not the right to switch to
 * it. */
int hf_service_credentials_find(const HfSettings *settings, HfNames *names, HfCredentials *ret,
                                HfText *error);
