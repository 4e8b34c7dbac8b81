#!/usr/bin/env python3
"""Installs Atelier: 'python3 install.py'. Options are listed by 'python3 install.py --help'.

Any Python 3 can run this file as far as the check of its version.
"""

import platform
import sys

if sys.version_info < (3, 10) or sys.maxsize < 2**32:
    found = platform.python_version() + ", " + platform.architecture()[0]
    sys.exit("install.py: This is Python " + found + ". Use a 64-bit Python 3.10 or newer.")

from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent / "plugin" / "atelier"))  # has atelier_shared.home

from installer.steps import main

if __name__ == "__main__":
    sys.exit(main())
