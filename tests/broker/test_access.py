# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Password and ACL files: a persisted session keeps the rights of its user, no more and no less."""
import subprocess
from types import SimpleNamespace

import pytest

from broker import free_port, prefix, release_port
from helpers import expect_received
from rawmqtt import Refused, Will, payloads
from test_wills import expect_no_will, wait_for_wills

ACL = """user admin
topic readwrite #
user alice
topic readwrite a/#
topic readwrite will/#
user bob
topic readwrite b/#
"""
USERS = ("admin", "alice", "bob")


@pytest.fixture(scope="module")
def passwords(module_stage):
    path = module_stage.folder / "passwords"
    path.touch(mode=0o600)
    for user in USERS:
        subprocess.run([str(prefix() / "bin/mosquitto_passwd"), "-b", str(path), user,
                        f"{user}'s password"], check=True, capture_output=True)
    return path


@pytest.fixture(params=["global", "per listener"])
def secured(new_broker, passwords, folder, request):
    """A broker with password and ACL files; `acl(text)` rewrites the latter."""
    acl = folder / "acl"
    acl.write_text(ACL)
    acl.chmod(0o600)
    files = [f"password_file {passwords}", f"acl_file {acl}"]
    if request.param == "global":
        broker = new_broker(conf=files, anonymous=False)
    else:
        broker = new_broker(conf=["per_listener_settings true"], anonymous=False,
                            listener=["listener {port} 127.0.0.1", "allow_anonymous false", *files])
    broker.acl = acl.write_text
    return broker.start()


@pytest.fixture
def user(client):
    """user(broker, "alice", "client id" ...)"""
    return lambda broker, name, client_id, **settings: client(
        broker, client_id, username=name, password=f"{name}'s password", **settings)


def test_what_comes_for_an_offline_session_is_checked_against_its_own_user(secured, user, how):
    """The restored session must still be alice's: the broker checks when a message is queued."""
    session = user(secured, "alice", "alice-1")
    session.subscribe("a/#")
    session.disconnect()
    user(secured, "admin", "admin-1").publish("a/1", "before")
    secured.restart(how)
    user(secured, "admin", "admin-1").publish("a/1", "after")
    expect_received(session, ["before", "after"])


def test_what_the_user_may_not_read_is_not_queued(secured, user, how):
    session = user(secured, "alice", "alice-1")
    session.subscribe("#")
    session.disconnect()
    secured.restart(how)
    admin = user(secured, "admin", "admin-1")
    admin.publish("b/1", "secret")
    admin.publish("a/1", "hers")
    expect_received(session, ["hers"])


def test_a_session_that_changed_hands_has_the_new_users_rights(secured, user, how):
    """No event tells of a user name that changed at a reconnect."""
    session = user(secured, "alice", "shared-id")
    session.subscribe("#")
    session.disconnect()
    session.connect(username="bob", password="bob's password")
    assert session.session_present
    session.disconnect()
    secured.restart(how)
    admin = user(secured, "admin", "admin-1")
    admin.publish("a/1", "for alice")
    admin.publish("b/1", "for bob")
    expect_received(session, ["for bob"])


def test_a_session_that_changed_hands_while_connected_at_the_crash(secured, user):
    session = user(secured, "alice", "shared-id")
    session.subscribe("#")
    session.disconnect()
    session.connect(username="bob", password="bob's password")
    session.ping()
    secured.restart("kill")
    admin = user(secured, "admin", "admin-1")
    admin.publish("a/1", "for alice")
    admin.publish("b/1", "for bob")
    expect_received(session, ["for bob"])


def test_a_message_that_is_no_longer_permitted_is_not_delivered(secured, user, how):
    session = user(secured, "alice", "alice-1")
    session.subscribe("a/#")
    session.disconnect()
    admin = user(secured, "admin", "admin-1")
    for topic in ("a/open", "a/closed", "a/open"):
        admin.publish(topic, topic)
    secured.end(how)
    secured.acl(ACL.replace("a/#", "a/open"))
    secured.start()
    expect_received(session, ["a/open", "a/open"])
    secured.acl(ACL)
    secured.restart(how)
    expect_received(session, [])


def test_a_wrong_password_gets_no_session(secured, user, how):
    session = user(secured, "alice", "alice-1")
    session.subscribe("a/#")
    session.disconnect()
    user(secured, "admin", "admin-1").publish("a/1", "hers")
    secured.restart(how)
    with pytest.raises(Refused):
        session.connect(password="guessed")
    session.connect(password="alice's password")
    assert payloads(session.drain()) == ["hers"]


def watcher(secured, user):
    watch = user(secured, "admin", "watcher")
    watch.subscribe("#", qos=1)
    watch.disconnect()
    return watch


@pytest.mark.parametrize("clean", [False, True], ids=["session", "clean"])
def test_a_will_that_the_acl_forbids_is_not_published_after_a_crash(secured, user, clean):
    """Nothing but the ACL keeps it back: the broker checks a will when it publishes it."""
    watch = watcher(secured, user)
    user(secured, "bob", "forbidden", clean=clean, will=Will("will/bob", b"forbidden")).ping()
    user(secured, "alice", "allowed", clean=clean, will=Will("will/alice", b"allowed")).ping()
    secured.restart("kill")
    assert payloads(wait_for_wills(watch, 1)) == ["allowed"]
    secured.restart("kill")
    expect_no_will(watch)


@pytest.mark.parametrize("clean", [False, True], ids=["session", "clean"])
def test_a_will_that_was_allowed_and_is_not_any_more(secured, user, clean):
    watch = watcher(secured, user)
    user(secured, "alice", "owner", clean=clean, will=Will("will/alice", b"was allowed")).ping()
    user(secured, "admin", "other", clean=clean, will=Will("will/admin", b"is allowed")).ping()
    secured.kill()
    secured.acl(ACL.replace("topic readwrite will/#\n", ""))
    secured.start()
    assert payloads(wait_for_wills(watch, 1)) == ["is allowed"]


def test_a_subscription_wider_than_the_rights_outlives_the_will_of_its_session(secured, user):
    """What publishes the will makes the broker drop subscriptions that the ACL file does not allow as
    a whole, as it does with those of a connection that breaks."""
    session = user(secured, "alice", "wide", will=Will("will/alice", b"gone"))
    session.subscribe("#")
    secured.restart("kill")
    user(secured, "admin", "admin-1").publish("a/1", "hers")
    user(secured, "admin", "admin-1").publish("b/1", "not hers")
    expect_received(session, ["gone", "hers"])


def test_a_pattern_with_the_client_id_is_applied_to_restored_sessions(secured, user, how):
    secured.end("stop")
    secured.acl(ACL + "\npattern readwrite own/%c/%u/#\n")
    secured.start()
    session = user(secured, "bob", "client-7")
    session.subscribe("own/#")
    session.disconnect()
    secured.restart(how)
    admin = user(secured, "admin", "admin-1")
    for topic in ("own/client-7/bob/x", "own/client-8/bob/x", "own/client-7/alice/x"):
        admin.publish(topic, topic)
    expect_received(session, ["own/client-7/bob/x"])


@pytest.mark.parametrize("clean", [False, True], ids=["session", "clean"])
@pytest.mark.parametrize("version", [4, 5])
def test_a_refused_connection_takes_nothing_from_the_client_of_that_id(secured, user, client, clean,
                                                                        version):
    """It ends under the id that it brought, and the broker says that this client's will is gone."""
    watch = watcher(secured, user)
    hers = user(secured, "alice", "alice-1", clean=clean, version=version,
                will=Will("will/alice", b"hers"))
    hers.ping()
    for other in (4, 5):
        with pytest.raises(Refused):
            client(secured, "alice-1", version=other, username="alice", password="guessed",
                   will=Will("will/alice", b"not hers"))
    hers.settle()
    secured.restart("kill")
    assert payloads(wait_for_wills(watch, 1)) == ["hers"]
    expect_no_will(watch)


@pytest.fixture
def two_listeners(new_broker):
    """A broker with settings per listener, and the port of a second one, which can be taken away."""
    other = free_port()
    broker = new_broker(conf=["per_listener_settings true"], anonymous=False,
                        listener=["listener {port} 127.0.0.1", "allow_anonymous true",
                                  f"listener {other} 127.0.0.1", "allow_anonymous true"])
    yield broker.start(), other
    release_port(other)


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "offline"])
@pytest.mark.parametrize("version", [4, 5])
def test_a_session_that_moved_to_another_listener_stays_there(two_listeners, client, publisher,
                                                              version, connected):
    """No event of persistence tells of it. A session without a listener may read nothing, so that
    what is published to it would be acknowledged and not queued."""
    broker, other = two_listeners
    session = client(SimpleNamespace(port=other), "sub", version=version)
    session.subscribe("t/#")
    session.connect(port=broker.port)
    if not connected:
        session.disconnect()
    publisher(broker).publish("t/1", "before")
    broker.kill()
    broker.listener = broker.listener[:2]
    broker.start()
    publisher(broker).publish("t/1", "after")
    expect_received(session, ["before", "after"])
