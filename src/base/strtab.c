#include "base/strtab.h"
