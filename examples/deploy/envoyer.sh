# SPDX-License-Identifier: MIT
# Laravel Envoyer: a hook before "Activate New Release". If it fails the deployment is cancelled, and the old release serves on.
set -e
holdfast-release "{{ release }}"
