#!/usr/bin/env python3
"""Installs Atelier: 'python3 install.py', and with --help what else it can do.

This file looks at the Python that runs it, and is written for any. The rest is in installer/.
"""

import platform
import sys

if sys.version_info < (3, 10) or sys.maxsize < 2**32:
    here = platform.python_version() + ", " + platform.architecture()[0]
    sys.exit("install.py: this is Python " + here + ": use a Python 3.10 or newer of 64 bits.")

from installer.steps import main

if __name__ == "__main__":
    sys.exit(main())
