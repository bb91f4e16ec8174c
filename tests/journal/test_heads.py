"""Signed heads: the key, where they go, and what they find that a chain alone cannot show."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from perptui.journal.audit import export_lines
from perptui.journal.events import Alarm
from perptui.journal.heads import Head, Witnesses, checked_key, read_heads, signature_stands
from perptui.journal.signing import HeadsFile, Signer, Syslog, load_key, make_key, target_of
from perptui.journal.verify import verify_file
from perptui.model.errors import ConfigError, InputError, JournalError
from tests.journal.made import journal_in


def signer_in(folder: Path, name: str = "audit.key", desk: str = "main") -> Signer:
    make_key(folder / name)
    return Signer(load_key(folder / name), desk, "main")


def chain(folder: Path, alarms: int, word: str = "t") -> Path:
    """A journal of `alarms` + 2 events, exported."""
    folder.mkdir(exist_ok=True)
    journal = journal_in(folder)
    journal.append(*(Alarm("x", f"k{n}", word) for n in range(alarms)))
    journal.close()
    file = folder / "exported.jsonl"
    file.write_bytes(b"".join(export_lines(folder / "journal.db")))
    return file


def heads_of(signer: Signer, file: Path, *numbers: int) -> tuple[Head, ...]:
    lines = file.read_bytes().splitlines()
    hashes = [msgspec.json.decode(line)["hash"] for line in lines]
    return tuple(signer.head(seq, hashes[seq - 1], 7) for seq in numbers)


def test_the_key_is_private_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "config" / "audit.key"
    key = make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert Signer(load_key(path), "main", "main").key == key == checked_key(key.upper())
    with pytest.raises(InputError, match="move it away first"):
        make_key(path)
    assert Signer(load_key(path), "main", "main").key == key


def test_a_key_that_cannot_be_trusted_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    with pytest.raises(ConfigError, match="audit keygen"):
        load_key(path)
    make_key(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_key(path)
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="expected an Ed25519 key") as refused:
        load_key(path)
    assert "no key" not in str(refused.value)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(ConfigError, match="not to be read"):
        load_key(tmp_path / "link")
    with pytest.raises(InputError, match="64 hex digits"):
        checked_key("zz")


def test_heads_that_agree_are_counted(tmp_path: Path) -> None:
    file, signer = chain(tmp_path, 10), signer_in(tmp_path)
    heads = heads_of(signer, file, 3, 6, 12)
    witnesses = Witnesses(heads, signer.key)
    assert verify_file(file, witnesses).ok
    assert witnesses.count == 3
    assert all(signature_stands(head, signer.key) for head in heads)


def test_a_chain_shorter_than_a_head_was_truncated(tmp_path: Path) -> None:
    file, signer = chain(tmp_path, 10), signer_in(tmp_path)
    heads = heads_of(signer, file, 5, 12)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:9]))
    verdict = verify_file(file, Witnesses(heads, signer.key))
    assert verdict.bad_seq == 10
    assert "a head of event 12 was published: it was truncated" in verdict.reason


def test_a_chain_that_was_written_anew_is_found_though_all_its_hashes_fit(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    heads = heads_of(signer, chain(tmp_path / "first", 10), 5, 9)
    anew = chain(tmp_path / "second", 10, "other")
    assert verify_file(anew).ok
    verdict = verify_file(anew, Witnesses(heads, signer.key))
    assert verdict.bad_seq == 5
    assert "one of 1 to 5 was rewritten" in verdict.reason


@pytest.mark.parametrize("field", ["hash", "seq", "sig", "key", "ts"])
def test_a_forged_head_is_found(tmp_path: Path, field: str) -> None:
    file, signer = chain(tmp_path, 10), signer_in(tmp_path)
    (head,) = heads_of(signer, file, 5)
    other = signer_in(tmp_path, "other.key")
    values = {"hash": "0" * 64, "seq": 6, "sig": "0" * 128, "key": other.key, "ts": 8}
    forged = msgspec.structs.replace(head, **{field: values[field]})
    verdict = verify_file(file, Witnesses((forged,), signer.key))
    assert not verdict.ok
    assert "forged" in verdict.reason
    # Somebody else's signature, however good, is not the desk's.
    theirs = heads_of(other, file, 5)
    assert "forged" in verify_file(file, Witnesses(theirs, signer.key)).reason


def test_heads_of_another_desk_say_nothing_and_alone_they_are_none(tmp_path: Path) -> None:
    file, signer = chain(tmp_path, 10), signer_in(tmp_path)
    other = Signer(load_key(tmp_path / "audit.key"), "other", "main")
    mixed = (*heads_of(other, file, 4), *heads_of(signer, file, 5))
    assert verify_file(file, Witnesses(mixed, signer.key)).ok
    verdict = verify_file(file, Witnesses(mixed[:1], signer.key))
    assert verdict.reason == "expected published heads of main/main, was other/main"
    assert "was none" in verify_file(file, Witnesses((), signer.key)).reason


def test_a_file_of_heads_is_appended_to_and_read_back(tmp_path: Path) -> None:
    file, signer = chain(tmp_path, 10), signer_in(tmp_path)
    target = HeadsFile(tmp_path / "heads")
    assert target.published() == ()
    target.publish(heads_of(signer, file, 3))
    target.publish(heads_of(signer, file, 6, 9))
    assert [head.seq for head in target.published()] == [3, 6, 9]
    assert read_heads(tmp_path / "heads").heads == target.published()
    with (tmp_path / "heads").open("ab") as stream:
        stream.write(b'{"account":"ma')
    target.publish(heads_of(signer, file, 12))
    published = read_heads(tmp_path / "heads")
    assert [head.seq for head in published.heads] == [3, 6, 9, 12]
    assert published.torn == 1


def test_a_long_file_of_heads_is_read_from_its_end(tmp_path: Path) -> None:
    file, signer = chain(tmp_path, 10), signer_in(tmp_path)
    HeadsFile(tmp_path / "heads").publish(heads_of(signer, file, *range(1, 12)))
    size = len(heads_of(signer, file, 3)[0].line)
    tail = read_heads(tmp_path / "heads", 3 * size)
    assert [head.seq for head in tail.heads] == [10, 11]


def test_a_line_that_is_no_head_is_named(tmp_path: Path) -> None:
    (tmp_path / "heads").write_bytes(b'{"a":1}\n')
    with pytest.raises(JournalError, match="head in line 1"):
        read_heads(tmp_path / "heads")
    file, signer = chain(tmp_path, 3), signer_in(tmp_path)
    (head,) = heads_of(signer, file, 3)
    (tmp_path / "heads").write_bytes(head.line.replace(b'"v":1', b'"v": 1') + b"\n")
    with pytest.raises(JournalError, match="canonical JSON in line 1"):
        read_heads(tmp_path / "heads")
    with pytest.raises(InputError, match="not to be read"):
        read_heads(tmp_path / "absent")


def test_a_place_that_takes_nothing_is_named(tmp_path: Path) -> None:
    file, signer = chain(tmp_path, 3), signer_in(tmp_path)
    heads = heads_of(signer, file, 3)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    for path in (
        tmp_path / "link",
        tmp_path / "pipe",
        tmp_path / "no" / "folder",
        Path("/dev/full"),
    ):
        with pytest.raises(JournalError, match="expected to append signed heads"):
            HeadsFile(path).publish(heads)
    with pytest.raises(ConfigError, match="absolute path"):
        target_of("heads.jsonl")
    assert isinstance(target_of("syslog"), Syslog)
    assert isinstance(target_of("~/heads"), HeadsFile)


def test_syslog_gets_one_message_a_head_and_its_file_is_read_back(tmp_path: Path) -> None:
    file, signer = chain(tmp_path, 10), signer_in(tmp_path)
    heads = heads_of(signer, file, 5, 9)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(Path(os.environ["XDG_RUNTIME_DIR"]) / "log"))
        Syslog(Path(daemon.getsockname())).publish(heads)
        messages = [daemon.recv(2048) for _ in heads]
    assert all(message.startswith(b"<86>perptui-head: {") for message in messages)
    assert max(map(len, messages)) < 1024
    stamp = b"Nov 23 08:00:00 host "
    kept = [stamp + message.partition(b">")[2] + b"\n" for message in messages]
    (tmp_path / "auth.log").write_bytes(kept[0] + stamp + b"sshd[1]: {}\n" + kept[1])
    assert read_heads(tmp_path / "auth.log").heads == heads
    assert Syslog(tmp_path / "log").published() == ()


def test_an_absent_syslog_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="expected syslog at"):
        Syslog(tmp_path / "log").publish((Head(1, "d", "a", 1, "h", 1, "k"),))


@pytest.mark.unmeasured
def test_an_exported_file_is_verified_with_msgspec_and_cryptography_alone(tmp_path: Path) -> None:
    file, signer = chain(tmp_path, 5), signer_in(tmp_path)
    HeadsFile(tmp_path / "heads").publish(heads_of(signer, file, 6))
    code = (
        "import sys; from pathlib import Path\n"
        "from perptui.journal.verify import verify_file\n"
        "from perptui.journal.heads import Witnesses, read_heads\n"
        f"heads = read_heads(Path({str(tmp_path / 'heads')!r})).heads\n"
        f"assert verify_file(Path({str(file)!r}), Witnesses(heads, {signer.key!r})).ok\n"
        "known = {*sys.stdlib_module_names, 'perptui', 'msgspec', 'cryptography', '__main__'}\n"
        "known |= {'typing_extensions'}  # of cryptography\n"
        "\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} - known))\n"
    )
    root = Path(__file__).parents[2]
    said = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
    )
    third_party = set(msgspec.json.decode(said.stdout.replace("'", '"')))
    assert not {name for name in third_party if not name.startswith("_")}
