# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Tables that take in nothing: so a journal with a small cap has no room left, and none comes."""
import ctypes
import os


class StalledTables:
    """While within, another program holds LMDB's writer lock of a running broker's store."""

    def __init__(self, broker):
        self.path = os.fsencode(broker.store)
        self.lmdb = ctypes.CDLL("liblmdb.so.0")
        self.lmdb.mdb_strerror.restype = ctypes.c_char_p
        self.lmdb.mdb_env_close.restype = self.lmdb.mdb_txn_abort.restype = None
        self.env, self.txn = ctypes.c_void_p(), ctypes.c_void_p()

    def _call(self, name, *arguments):
        code = getattr(self.lmdb, name)(*arguments)
        assert code == 0, f"{name}: {self.lmdb.mdb_strerror(code).decode()}"

    def __enter__(self):
        self._call("mdb_env_create", ctypes.byref(self.env))
        self._call("mdb_env_open", self.env, self.path, 0, 0o600)
        self._call("mdb_txn_begin", self.env, None, 0, ctypes.byref(self.txn))
        return self

    def __exit__(self, *_):
        self.lmdb.mdb_txn_abort(self.txn)
        self.lmdb.mdb_env_close(self.env)
