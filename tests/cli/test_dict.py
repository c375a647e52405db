# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""dict ls and dict train, on a store of many messages that are alike."""

import json

import pytest

import cli

MESSAGES = 4000


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """Its first stretch has trained a dictionary already."""
    return cli.make_store("large", tmp_path_factory.mktemp("dict") / "alike", 10, MESSAGES)


@pytest.fixture
def own(tmp_path):
    return cli.make_store("large", tmp_path / "own", 10, MESSAGES)


def contents(store):
    result = cli.run("--store", store, "export")
    assert result.status == 0, result
    return result.out.splitlines()[1:]


def test_ls_tells_what_a_dictionary_saves(alike):
    (one,) = cli.run("--store", alike, "--json", "dict", "ls").json["dictionaries"]
    assert one["id"] == 1 and one["in_use"] and one["messages"] == MESSAGES
    assert one["saved_bytes"] == one["content_bytes"] - one["stored_bytes"] > 0
    assert one["trial_after_bytes"] < one["trial_before_bytes"] <= one["trial_bytes"]
    lines = cli.run("--store", alike, "dict", "ls").out.splitlines()
    assert lines[0].split() == ["ID", "IN", "USE", "BYTES", "AGE", "SAMPLES", "MESSAGES",
                                "CONTENTS", "STORED", "SAVED"]  # fmt: skip
    assert lines[1].split()[:2] == ["1", "yes"] and f"{MESSAGES:,}" in lines[1]


def test_status_names_the_dictionary_in_use(alike):
    status = cli.run("--store", alike, "--json", "status").json
    assert status["dictionary"] == 1 and status["dictionaries"] == 1
    assert status["content_bytes"] > 3 * status["stored_bytes"]
    text = cli.run("--store", alike, "status").out
    ratio = status["content_bytes"] / status["stored_bytes"]
    assert f"ratio {ratio:.2f}, dictionary 1 (1 kept)" in text


def test_dry_run_changes_nothing(own):
    before, listed = contents(own), cli.run("--store", own, "--json", "dict", "ls").out
    result = cli.run("--store", own, "dict", "train", "--dry-run")
    assert result.status == 0, result
    assert result.out.startswith("trained on ") and "nothing was changed" in result.out
    as_json = cli.run("--store", own, "--json", "dict", "train", "--dry-run").json
    assert as_json["done"] is False and as_json["rewritten"] == 0
    assert as_json["before_bytes"] == as_json["after_bytes"]
    assert contents(own) == before
    assert cli.run("--store", own, "--json", "dict", "ls").out == listed


def test_messages_are_stored_anew(tmp_path):
    """What came in without a dictionary: too little in one stretch to train on."""
    store = tmp_path / "few"
    for part in range(3):
        cli.make_store("readings", store, part * 900, 900)
    before, status = contents(store), cli.run("--store", store, "--json", "status").json
    assert status["dictionary"] == 0 and status["messages"] == 2700
    done = cli.run("--store", store, "--json", "dict", "train").json
    assert done["gains"] and done["done"] and done["rewritten"] == 2700
    assert done["after_bytes"] < done["before_bytes"] / 2 == status["stored_bytes"] / 2
    assert contents(store) == before
    after = cli.run("--store", store, "--json", "status").json
    assert after["dictionary"] == 1 and after["stored_bytes"] == done["after_bytes"]
    assert after["content_bytes"] == status["content_bytes"]
    (one,) = cli.run("--store", store, "--json", "dict", "ls").json["dictionaries"]
    assert one["messages"] == 2700
    assert cli.run("--store", store, "verify").status == 0

    # A second time there is nothing to gain.
    again = cli.run("--store", store, "--json", "dict", "train").json
    assert not again["gains"] and not again["done"] and again["rewritten"] == 0
    assert "no gain worth having" in cli.run("--store", store, "dict", "train").out
    assert contents(store) == before


def test_nothing_to_train_on(tmp_path):
    store = cli.make_store("empty", tmp_path / "empty")
    result = cli.run("--store", store, "dict", "train")
    assert result.status == 0 and result.err == ""
    assert "too few, or too different, to train a dictionary on: nothing was" in result.out
    as_json = cli.run("--store", store, "--json", "dict", "train").json
    assert as_json["samples"] == 0 and not as_json["gains"] and not as_json["done"]


def test_dictionaries_go_along(own, tmp_path):
    """backup, restore, compact, import and repair: none needs to know of them, and each does."""
    before = contents(own)
    saved = tmp_path / "saved"
    assert cli.run("--store", own, "backup", saved).status == 0
    assert cli.run("restore", saved, tmp_path / "restored").status == 0
    assert cli.run("--store", own, "compact").status == 0
    exported = cli.run("--store", own, "export").out
    assert cli.run("--store", tmp_path / "imported", "import", "-", stdin=exported).status == 0
    assert cli.run("--store", own, "repair", "--output", tmp_path / "repaired").status == 0
    for store in (own, tmp_path / "restored", tmp_path / "imported", tmp_path / "repaired"):
        assert contents(store) == before, store
        listed = cli.run("--store", store, "--json", "dict", "ls").json["dictionaries"]
        assert sum(one["messages"] for one in listed) > MESSAGES / 2, store
        sound = cli.run("--store", store, "--json", "verify").json
        assert sound["sound"] and sound["checked"]["dictionaries"] == len(listed), sound


def test_verify_and_repair_tell_of_a_damaged_dictionary(own, tmp_path):
    """One byte in the middle of it, in the file."""
    data = bytearray((own / "data.mdb").read_bytes())
    at = data.index(bytes([0x37, 0xA4, 0x30, 0xEC]))
    data[at + 9000] ^= 1
    (own / "data.mdb").write_bytes(data)
    result = cli.run("--store", own, "--json", "verify", "--limit", "5")
    assert result.status == 3
    told = json.dumps(result.json["findings"])
    assert "dictionaries: key 1: checksum does not match" in told
    repaired = cli.run("--store", own, "--json", "repair", "--output", tmp_path / "new")
    assert repaired.status == 3, repaired
    assert cli.run("--store", tmp_path / "new", "--json", "status").json["messages"] == 0
    assert cli.run("--store", tmp_path / "new", "verify").status == 0
    # Training reads them all, and says what is the matter in place of making it worse.
    result = cli.run("--store", own, "dict", "train")
    assert result.status == 3 and "checksum does not match" in result.err
