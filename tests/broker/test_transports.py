# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Sessions over TLS and over WebSockets."""
import subprocess

import pytest

from helpers import expect_received, numbers, offline_session, publish_numbers
from transport import Tls, WebSocket


@pytest.fixture(scope="module")
def certificates(module_stage):
    """An authority, a server and two clients, made for this run: folder with NAME.crt, NAME.key."""
    folder = module_stage.folder

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test ca",
            "-days", "2")
    (folder / "server.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "alice", "bob"):
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/CN={'localhost' if name == 'server' else name}")
        extra = ["-extfile", "server.ext"] if name == "server" else []
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{name}.crt", "-days", "2", *extra)
    return folder


def tls_listener(certificates):
    return ["listener {port} 127.0.0.1", f"cafile {certificates}/ca.crt",
            f"certfile {certificates}/server.crt", f"keyfile {certificates}/server.key"]


def test_a_session_over_tls_is_kept(new_broker, client, publisher, certificates, how):
    broker = new_broker(listener=tls_listener(certificates)).start()
    tls = {"transport": Tls(certificates / "ca.crt")}
    session = offline_session(broker, client, version=5, qos=2, **tls)
    publish_numbers(publisher(broker, **tls), 1, 30, qos=2)
    broker.restart(how)
    expect_received(session, numbers(1, 30))


def test_the_rights_of_a_certificate_stay_with_its_session(new_broker, client, certificates, folder,
                                                           how):
    """use_identity_as_username: the session's user is the certificate's, not one it named."""
    acl = folder / "acl"
    acl.write_text("user alice\ntopic read a/#\ntopic write #\nuser bob\ntopic readwrite #\n")
    acl.chmod(0o600)
    broker = new_broker(anonymous=False, conf=[f"acl_file {acl}"], listener=tls_listener(
        certificates) + ["require_certificate true", "use_identity_as_username true"]).start()

    def connect(name, client_id, **settings):
        return client(broker, client_id, transport=Tls(
            certificates / "ca.crt", certificates / f"{name}.crt", certificates / f"{name}.key"),
            **settings)
    session = connect("alice", "alice-1")
    session.subscribe("#")
    session.disconnect()
    source = connect("bob", "bob-1", clean=True)
    source.publish("a/1", "before")
    source.publish("b/1", "secret before")
    broker.restart(how)
    source.connect()
    source.publish("b/1", "secret after")
    source.publish("a/1", "after")
    expect_received(session, ["before", "after"])


@pytest.mark.parametrize("version", [4, 5])
def test_a_session_over_websockets_is_kept(new_broker, client, publisher, how, version):
    broker = new_broker(listener=["listener {port} 127.0.0.1", "protocol websockets"]).start()
    ws = {"transport": WebSocket}
    session = offline_session(broker, client, version=version, qos=2, **ws)
    source = publisher(broker, **ws)
    publish_numbers(source, 1, 30, qos=2)
    source.publish("t/1", b"large " * 20000, qos=1)
    broker.restart(how)
    session.connect()
    assert session.session_present
    found = session.drain()
    assert [message.payload.decode() for message in found[:30]] == numbers(1, 30)
    assert found[30].payload == b"large " * 20000


def test_a_client_connected_over_websockets_at_the_crash_keeps_its_session(new_broker, client,
                                                                           publisher):
    broker = new_broker(listener=["listener {port} 127.0.0.1", "protocol websockets"]).start()
    session = client(broker, "sub", transport=WebSocket)
    session.subscribe("t/#")
    publish_numbers(publisher(broker, transport=WebSocket), 1, 10)
    broker.restart("kill")
    expect_received(session, numbers(1, 10))


def test_a_session_may_move_between_transports(new_broker, client, certificates, folder):
    """Stored under its client id, whatever listener it came by."""
    broker = new_broker(listener=tls_listener(certificates)).start()
    session = offline_session(broker, client, transport=Tls(certificates / "ca.crt"))
    broker.kill()
    broker.listener = ["listener {port} 127.0.0.1", "protocol websockets"]
    broker.start()
    session.connect(transport=WebSocket)
    assert session.session_present
