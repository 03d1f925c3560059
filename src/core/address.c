#include "core/address.h"
