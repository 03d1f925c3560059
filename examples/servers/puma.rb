# SPDX-License-Identifier: MIT
# Else puma closes a connection at the end whose request has not arrived yet.
queue_requests false
