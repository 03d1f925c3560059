# SPDX-License-Identifier: MIT
# Otherwise, as it ends, puma closes connections whose request has not arrived yet.
queue_requests false
