#include "sys/account.h"
