/* The D-Bus object on the private socket. holdfast-control(7), sd-bus(3). */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_control;
