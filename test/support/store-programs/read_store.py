"""Reads a datastore by docs/datastore.md alone and prints what its last revision says, as JSON. Shares no code with us."""

import hashlib
import json
import os
import sys

store = os.path.join(sys.argv[1], ".gueststore")


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def read(*names):
    with open(os.path.join(store, *names), "rb") as file:
        return file.read()


def read_object(digest, kind=None):
    name = digest.removeprefix("sha256:")
    data = read("objects", name[:2], name)
    assert sha256(data) == digest, "object " + digest
    record = json.loads(data)
    assert kind is None or record["kind"] == kind, record["kind"]
    return record


def hash32(key):
    mask = 0xFFFFFFFF
    h = 0x811C9DC5
    for byte in key.encode():
        h = (h ^ byte) * 0x01000193 & mask
    h = (h ^ h >> 16) * 0x85EBCA6B & mask
    h = (h ^ h >> 13) * 0xC2B2AE35 & mask
    return h ^ h >> 16


def read_trie(digest, depth=0, slots=()):
    node = read_object(digest)
    if node["kind"] == "leaf":
        for key in node["entries"]:
            assert tuple(hash32(key) >> 4 * d & 15 for d in range(depth)) == slots, key
        return node["entries"]
    entries = {}
    for slot, child in node["children"].items():
        entries.update(read_trie(child, depth + 1, (*slots, int(slot, 16))))
    assert len(entries) > 128
    return entries


def read_commit(seq):
    line, digest, rest = read("commits", str(seq)).split(b"\n")
    assert rest == b"" and sha256(line).encode() == digest
    return json.loads(line), digest.decode()


def check_history(seq):
    parent = None
    for number in range(1, seq + 1):
        commit, digest = read_commit(number)
        assert commit["seq"] == number and commit["parent"] == parent
        parent = digest


def repository_of(indexed):
    entries = read_trie(indexed["catalog"])
    assert len(entries) == indexed["items"]
    assert sum(entry.get("size", 0) for entry in entries.values()) == indexed["bytes"]
    for entry in entries.values():
        if entry["state"] != "pending":
            name = entry["digest"].removeprefix("sha256:")
            data = read("blobs", "sha256", name[:2], name[2:])
            assert sha256(data) == entry["digest"] and len(data) == entry["size"]
    return {"row": indexed["row"], "entries": entries}


def vm_of(row):
    rules = row["ruleSet"] and read_object(row["ruleSet"], "rules")["rules"]
    return {"row": row, "rules": rules}


seq = max(int(name) for name in os.listdir(os.path.join(store, "commits")))
check_history(seq)
commit, _ = read_commit(seq)
index = read_object(commit["index"], "index")
content = {
    "repositories": {key: repository_of(value) for key, value in index["repositories"].items()},
    "vms": {key: vm_of(row) for key, row in read_trie(index["vms"]).items()},
}
print(json.dumps(content))
