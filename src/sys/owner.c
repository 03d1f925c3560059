#include "sys/owner.h"
