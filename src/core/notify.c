#include "core/notify.h"
