/* SPDX-License-Identifier: MIT */
#include "service/adapter.h"

const HfAdapter *const hf_adapters[] = {
    &hf_adapter_php_fpm,
    &hf_adapter_php_cgi,
    &hf_adapter_generic,
    NULL,
};

const HfHandoff *const hf_handoffs[] = {
    &hf_handoff_listen_fds,
    &hf_handoff_php_fpm,
    &hf_handoff_stdin,
    &hf_handoff_server_starter,
    NULL,
};
