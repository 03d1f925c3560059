#include "core/backoff.h"
