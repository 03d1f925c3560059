#include "sys/listener.h"
