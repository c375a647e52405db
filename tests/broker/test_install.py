# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What `cmake --install` and the Debian package bring is whole, and a broker runs with it."""
import json
import os
import subprocess

import pytest

import broker as brokers
from helpers import expect_received, numbers, offline_session, publish_numbers

PLUGIN = "lib/mosquitto/mosquitto_persist_lmdb.so"
DOCS = "share/doc/mosquitto-persist-lmdb"
INSTALLED = {
    "bin/mosquitto_lmdb", PLUGIN, "share/man/man1/mosquitto_lmdb.1",
    "share/bash-completion/completions/mosquitto_lmdb", f"{DOCS}/CHANGELOG.md", f"{DOCS}/copyright",
    *(f"{DOCS}/examples/{name}.conf" for name in (
        "minimal", "durable", "sd-card", "systemd/mosquitto-persist-lmdb")),
}


def build():
    return brokers.environment_folder("BUILD_DIR", "CPackConfig.cmake")


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=300, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def installed(folder):
    run("cmake", "--install", build(), "--prefix", folder / "usr")
    return folder / "usr"


@pytest.fixture(params=[0o002, 0o077], ids="umask {:03o}".format)
def package(folder, request):
    before = os.umask(request.param)
    try:
        return package_made(folder)
    finally:
        os.umask(before)


def package_made(folder):
    run("cpack", "--config", build() / "CPackConfig.cmake", "-G", "DEB", "-B", folder / "package",
        "-D", "CPACK_PACKAGING_INSTALL_PREFIX=/usr")
    file, = (folder / "package").glob("*.deb")
    return file


def test_everything_is_installed_and_works(installed, new_broker, client, publisher, monkeypatch):
    assert files_below(installed) == INSTALLED
    monkeypatch.setattr(brokers, "plugin_path", lambda: installed / PLUGIN)
    broker = new_broker().start()
    session = offline_session(broker, client)
    publish_numbers(publisher(broker), 1, 5)
    broker.restart("kill")
    status = run(installed / "bin/mosquitto_lmdb", "--store", broker.store, "--json", "status")
    assert json.loads(status)["queued"] == 5
    expect_received(session, numbers(1, 5))


def test_the_debian_package_holds_it_and_says_what_it_needs(package, folder):
    run("dpkg-deb", "-x", package, folder / "root")
    assert {f"usr/{name}" for name in INSTALLED} == files_below(folder / "root")
    for path in (folder / "root").rglob("*"):
        program = path.is_dir() or path.parent.name == "bin"
        assert path.stat().st_mode & 0o7777 == (0o755 if program else 0o644), path
    fields = dict(line.split(": ", 1) for line in run("dpkg-deb", "-f", package).splitlines()
                  if ": " in line)
    assert fields["Package"] == "mosquitto-persist-lmdb"
    for library in ("libc6", "liblmdb0", "libzstd1", "libcjson1", "libsmartcols1", "libsqlite3-0"):
        assert library in fields["Depends"]
    assert fields["Recommends"] == "mosquitto (>= 2.1.2)"
    assert fields["Version"] in run(folder / "root/usr/bin/mosquitto_lmdb", "--version")
