# SPDX-License-Identifier: MIT
"""Where things are."""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
SOURCE = ROOT / "src"
HELPERS = ROOT / "tests" / "helpers"
HOLDFAST = pathlib.Path(os.environ.get("HOLDFAST", ROOT / "build" / "src" / "holdfast")).absolute()
LIBRARIES = HOLDFAST.parent
RUNTIME = pathlib.Path("/run/holdfast")
PYTHON = "/usr/bin/python3"
PHP_FPM = "php-fpm8.2"
PHP_FPM_PLAIN = str(HELPERS / "php-fpm-plain")
PHP_CGI = "php-cgi8.2"
