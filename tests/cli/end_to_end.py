# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Import it before the modules of the end-to-end tests (broker, rawmqtt, wire), to find them. They
come last in the path: one of them has the name of a module here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "broker"))
