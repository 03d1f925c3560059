#include "sys/resolve.h"
