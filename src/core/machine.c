#include "core/machine.h"

