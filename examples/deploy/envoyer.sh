# SPDX-License-Identifier: MIT
# Laravel Envoyer: a hook before "Activate New Release". If it fails, the deployment is cancelled, and the old release goes on serving.
set -e
holdfast-release "{{ release }}"
