/* Names that both ends of the control socket use. holdfast-control(7). */
#pragma once

#define HF_CONTROL_PATH      "/org/holdfast/Control1"
#define HF_CONTROL_INTERFACE "org.holdfast.Control1"

/* Errors: the method failed, with the reason as its message. */
#define HF_CONTROL_FAILED   "org.holdfast.Error.Failed"
#define HF_CONTROL_STOPPING "org.holdfast.Error.Stopping"
#define HF_CONTROL_BUSY     "org.holdfast.Error.Busy"
