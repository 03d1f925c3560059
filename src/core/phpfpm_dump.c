#include "core/phpfpm.h"
