#include "sys/memfile.h"
