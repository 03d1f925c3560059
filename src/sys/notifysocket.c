#include "sys/notifysocket.h"
