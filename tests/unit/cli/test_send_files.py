"""`shuangcheng send` and the files that people have: other encodings, packed, an array, many wrong lines, no end."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import event_file, send
from deploy.cli.main import app
from deploy.operate.ports import free_port
from deploy.tryout.demo.play import WEEKEND

TEXT = WEEKEND.read_bytes()
LINES = TEXT.splitlines()
EVENTS = [json.loads(line) for line in LINES]


def sent(file: Path | str, *options: str, text: bytes | None = None) -> tuple[int, str]:
    """Status and what was said. Nobody listens: who gets as far as the broker has found nothing wrong."""
    arguments = ["send", str(file), "--kafka", f"127.0.0.1:{free_port()}", *options]
    result = CliRunner().invoke(app, arguments, input=text)
    return result.exit_code, result.stderr + result.stdout


def written(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / "events.jsonl"
    file.write_bytes(content)
    return file


READ = {
    "UTF-8 with a mark": b"\xef\xbb\xbf" + TEXT,
    "lines of Windows": b"\r\n".join(LINES) + b"\r\n",
    "gzip": gzip.compress(TEXT),
    "gzip of two parts, with a mark": gzip.compress(b"\xef\xbb\xbf" + LINES[0] + b"\n") + gzip.compress(LINES[1]),
    "blank lines, no end": b"\n \n" + TEXT.rstrip() + b"\n\n\t" + LINES[0],
}
NOT_READ = {
    "UTF-16": (TEXT.decode().encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (TEXT.decode().encode("utf-16-le"), "UTF-16"),
    "UTF-32": (TEXT.decode().encode("utf-32"), "UTF-32"),
    "an array": (json.dumps(EVENTS).encode(), "one JSON array"),
    "an array over lines": (json.dumps(EVENTS, indent=2).encode(), "one JSON array"),
    "an object over lines": (json.dumps(EVENTS[0], indent=2).encode(), "JSON over several lines"),
    "bzip2": (bz2.compress(TEXT), "bzip2"),
    "xz": (lzma.compress(TEXT), "xz"),
    "a packed array": (gzip.compress(json.dumps(EVENTS).encode()), "one JSON array"),
    "half a gzip": (gzip.compress(TEXT)[:-100], "cut or broken gzip"),
    "broken gzip": (gzip.compress(TEXT)[:300] + b"x" * 300, "cut or broken gzip"),
}


@pytest.mark.parametrize("case", READ)
@pytest.mark.parametrize("by", ["file", "standard input"])
def test_a_file_of_another_shape_is_read(tmp_path: Path, case: str, by: str) -> None:
    if by == "file":
        status, said = sent(written(tmp_path, READ[case]))
    else:
        status, said = sent("-", text=READ[case])
    assert (status, "no Kafka broker answers" in said) == (2, True), said


@pytest.mark.parametrize("case", NOT_READ)
def test_a_file_that_has_no_lines_of_json_is_one_message_that_says_what_it_is(tmp_path: Path, case: str) -> None:
    content, what = NOT_READ[case]
    file = written(tmp_path, content)
    status, said = sent(file)
    assert status == 1, said
    assert (said.count("shuangcheng: "), said.count("What to do: ")) == (1, 1), said
    assert f"{file} is " in said
    assert what in said
    assert "nothing was sent" in said
    assert " line 1:" not in said


def test_of_two_thousand_wrong_lines_twenty_are_shown_and_all_counted(tmp_path: Path) -> None:
    file = written(tmp_path, TEXT + b"{}\n" * 2000)
    status, said = sent(file)
    assert status == 1
    assert said.count("(envelope)") == send.SHOWN == 20
    counted = "2000 lines are wrong (1980 of them are not shown); nothing was sent"
    assert said.splitlines()[-1] == f"{counted}: correct the file, then send it again"
    status, said = sent(file, "--json")
    document = json.loads(said)
    assert (status, document["sent"], document["wrong"], len(document["problems"])) == (1, 0, 2000, 20)
    assert document["problems"][0]["line"] == len(LINES) + 1


def test_an_id_used_for_something_else_is_found_however_far_apart(tmp_path: Path) -> None:
    other = json.dumps(EVENTS[0] | {"time": "2023-08-17T15:00:01+08:00"}).encode()
    status, said = sent(written(tmp_path, TEXT + LINES[0] + b"\n" + other + b"\n"))
    assert status == 1
    assert f"line {len(LINES) + 2}: /id: line 1 has the same source and id with other content (reused_id)" in said
    assert "1 line is wrong; nothing was sent" in said


def test_a_line_without_an_end_is_too_large_and_those_after_it_are_read(tmp_path: Path) -> None:
    endless = b'{"a": "' + b"x" * 10 * event_file.LONGEST_LINE
    status, said = sent(written(tmp_path, endless + b"\n" + TEXT + b"{}\n"))
    assert status == 1
    assert "line 1: (whole line): " in said
    assert "(too_large)" in said
    assert f"line {len(LINES) + 2}: " in said
    assert "2 lines are wrong" in said


def test_no_more_of_a_file_is_read_at_once_than_a_line() -> None:
    """An endless line of nothing, packed: the text that comes out of it never stands in memory."""
    packed = io.BytesIO(gzip.compress(b" " * 200_000_000))
    lines = [len(line) for line in event_file.EventFile(packed, "it").lines()]
    assert lines == [event_file.LONGEST_LINE + 1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(TEXT,))
    writer.start()
    status, said = sent(tmp_path / "pipe")
    writer.join()
    assert (status, "no Kafka broker answers" in said) == (2, True), said


def test_a_folder_is_told_with_its_name(tmp_path: Path) -> None:
    status, said = sent(tmp_path)
    assert (status, f"cannot read {tmp_path}: Is a directory" in said) == (2, True), said


def test_long_work_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "_SAID_EVERY", 0.0)
    _, said = sent(written(tmp_path, LINES[0] + b"\n" + (LINES[0] + b"\n") * 2500))
    assert "checked: 1000 messages, " in said
    assert "checked: 2000 messages, " in said
    assert " % of " in said


def test_a_large_file_is_checked_in_little_memory(tmp_path: Path) -> None:
    """Three million bytes of one event that is repeated weigh as much as its first lines."""
    file = written(tmp_path, b"".join(line + b"\n" for line in LINES) * 150)
    weigh = (
        "import resource, sys; from deploy.cli.event_file import event_file; from deploy.cli.send import _check\n"
        "def weight(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"with event_file({str(WEEKEND)!r}) as few: _check(few, False)\n"
        "before = weight()\n"
        f"with event_file({str(file)!r}) as many: print(_check(many, False).topics.total(), weight() - before)"
    )
    done = subprocess.run([sys.executable, "-c", weigh], capture_output=True, text=True, timeout=100, check=True)
    messages, grown = map(int, done.stdout.split())
    assert messages == 150 * len(LINES)
    assert grown * 1024 < file.stat().st_size
