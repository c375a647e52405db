# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A process that holds a store as a broker does."""

import subprocess

import cli


class Holder:
    """make_store hold: takes the store, appends what it is told, keeps it until it is closed."""

    def __init__(self, store):
        self.store = store
        self.process = subprocess.Popen([cli.MAKE_STORE, "hold", store], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)  # fmt: skip
        assert self.process.stdout.readline() == "held\n"

    def tell(self, word):
        """`add`: appends an event that the tables do not get yet; `flush`: now they do."""
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == word + "\n"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(cli.TIMEOUT_S) == 0
