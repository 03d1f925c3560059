#include "core/handoff.h"
