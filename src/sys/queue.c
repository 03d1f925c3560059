#include "sys/queue.h"
