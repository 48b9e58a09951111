"""Shells of people who also work on other things: what they export changes nothing, or one line says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from deploy import addresses
from deploy.tryout.local.processes import own_environment
from services.chassis.base import addresses as addresses_of_services

ROOT = Path(__file__).parents[3]
SECRET = "geheim"
OURS = ("contracts", "services", "deploy")


def run(*arguments: str, folder: Any = ROOT, **variables: Any) -> subprocess.CompletedProcess[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHUANGCHENG_")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=inherited | variables, capture_output=True, timeout=120, check=False)


def one_line(done: subprocess.CompletedProcess[bytes], status: int = 2) -> str:
    """What a command said that ended with this status, without a trace and without the secret."""
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == status, said
    assert "Traceback" not in said
    assert SECRET not in said
    return said


UNREADABLE = [
    f"postgresql://u:{SECRET}#2@db.example.org:5432/x",
    f"postgresql://u:12#{SECRET}@db.example.org:5432/x",
    f"postgresql://u:{SECRET}/2@db.example.org:5432/x",
    f"postgresql://u:12/{SECRET}@db.example.org:5432/x",
    f"postgresql://u:{SECRET}?2@db.example.org:5432/x",
    f"postgresql://u:12?a={SECRET}@db.example.org:5432/x",
    f"postgresql://u:{SECRET}@2@db.example.org:5432/x",
    f"postgresql://u:{SECRET}%2@db.example.org:5432/x",
    f"postgresql://u:[{SECRET}@db.example.org:5432/x",
    f"postgresql://u:{SECRET}@db.example.org:port/x",
    f"postgresql://u:{SECRET}@db.example.org/x?{SECRET}",
    f"u:{SECRET}@db.example.org:5432/x",
    f"mysql://u:{SECRET}@db.example.org:5432/x",
    f"host=db.example.org password={SECRET}",
    "",
]
READABLE = [
    "postgresql://127.0.0.1/shuangcheng",
    "postgres://u:p%40%23%25%2F%3F%3A@db.example.org:5432/x?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem",
    "postgresql://u:p@[::1]:5432/x",
    "postgresql://u:p@one:5432,two:5433/x?target_session_attrs=read-write",
    "postgresql:///x?host=/run/postgresql",
    "postgresql://u@h/x",
]


@pytest.mark.parametrize("dsn", UNREADABLE)
def test_an_address_that_cannot_be_read_is_refused_and_no_part_of_it_shown(dsn: str) -> None:
    with pytest.raises(ValueError, match=r"postgresql://") as refused:
        addresses.require_address(dsn)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("dsn", READABLE)
def test_an_address_that_the_driver_reads_is_let_through(dsn: str) -> None:
    addresses.require_address(dsn)


def test_sandboxes_and_services_judge_addresses_alike() -> None:
    both = [Path(str(module.__file__)).read_text("utf-8") for module in (addresses, addresses_of_services)]
    assert len({text.partition("from __future__")[2] for text in both}) == 1


@pytest.mark.parametrize(
    ("module", "variable"),
    [
        ("services.identity", "SHUANGCHENG_DATABASE"),
        ("services.adapters", "SHUANGCHENG_DATABASE"),
        ("deploy.tryout.sandbox.kafka_native", "SHUANGCHENG_DATABASE"),
        ("deploy.cli.main", "SHUANGCHENG_POSTGRES"),
    ],
)
def test_a_password_with_an_unencoded_sign_is_one_line_that_names_the_variable(module: str, variable: str) -> None:
    arguments = ("up", "--broker", "embedded") if module == "deploy.cli.main" else ("migrate",)
    done = run("-m", module, *arguments, SHUANGCHENG_REGISTRY="gz", **{variable: UNREADABLE[0]})
    said = one_line(done)
    assert f"{variable}{'' if module == 'deploy.cli.main' else ':'} is no postgresql://" in said
    assert "%23 for #" in said


@pytest.mark.parametrize(
    ("module", "variable", "value"),
    [
        ("services.identity", "HTTP_PORT", SECRET),
        ("services.identity", "LOG_LEVEL", SECRET),
        ("services.identity", "KAFKA", f"u:{SECRET}@kafka:9092"),
        ("deploy.tryout.sandbox.rest_api", "KAFKA", f"u:{SECRET}@kafka:9092"),
        ("deploy.tryout.sandbox.rest_api", "TRUSTED_PROXIES", SECRET),
        ("deploy.operator", "TRUSTED_PROXIES", SECRET),
        ("deploy.operator", "LOG_LEVEL", SECRET),
        ("deploy.operator", "SERVICES", f'{{"bridge": "ftp://u:{SECRET}@bridge"}}'),
        ("deploy.tryout.sandbox.rest_api", "BRIDGE_URL", f"http://u:{SECRET}@bridge:port"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_line_without_its_value(module: str, variable: str, value: str) -> None:
    services = '{"bridge": "http://127.0.0.1:1"}'
    named = {"SHUANGCHENG_SERVICES": services, "SHUANGCHENG_REGISTRY": "gz", f"SHUANGCHENG_{variable}": value}
    arguments = () if module == "deploy.operator" else ("migrate",)
    said = one_line(run("-m", module, *arguments, **named))
    assert said.count("\n") == 1
    assert f"SHUANGCHENG_{variable}: " in said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("command", ["deploy.cli.main", "contracts.tools.compatibility", "contracts.tools.publish"])
def test_help_is_shown_whatever_the_encoding_of_the_output(encoding: str, command: str) -> None:
    done = run("-m", command, "--help", PYTHONIOENCODING=encoding, LC_ALL="C")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""


def test_what_send_complains_of_is_shown_in_ascii_too(tmp_path: Path) -> None:
    file = tmp_path / "双城.jsonl"
    file.write_text('{"志愿": 1}\n')
    done = run("-m", "deploy.cli.main", "send", str(file), PYTHONIOENCODING="ascii", LC_ALL="C")
    assert "wrong; nothing was sent" in one_line(done, 1)


@pytest.mark.parametrize("name", ["lab/benchmarks", "lab/faults", "lab/fuzz", "simulation"])
def test_what_people_run_by_hand_forgets_what_their_shell_says_of_databases_and_encodings(name: str) -> None:
    begins = (ROOT / "tests" / name / "__main__.py").read_text("utf-8").partition('if __name__ == "__main__":')[2]
    assert "show_what_cannot_be_shown()" in begins
    assert "forget_libpq_variables()" in begins or name == "simulation", "it alone has no database"


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """A folder of another project, with packages of the names that ours have."""
    for name in OURS:
        (tmp_path / "others" / name).mkdir(parents=True)
        (tmp_path / "others" / name / "__init__.py").write_text("raise SystemExit('a stranger was run')")
    return tmp_path / "others"


def test_packages_of_our_names_on_pythonpath_are_not_run(others: Path, tmp_path: Path) -> None:
    begin = "import sys; del sys.path[0]; import shuangcheng; sys.argv[0] = 'shuangcheng'; shuangcheng.main()"
    done = run("-c", begin, "--help", "--version", folder=tmp_path, PYTHONPATH=str(others))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Exit status" in done.stdout


def test_the_rest_of_pythonpath_stays(others: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    begin = "import sys, shuangcheng; sys.argv = ['x', '--version']\ntry: shuangcheng.main()\nfinally: print(sys.path)"
    done = run("-c", begin, folder=tmp_path, PYTHONPATH=os.pathsep.join([str(others), str(tmp_path / "mine")]))
    assert str(tmp_path / "mine") in done.stdout.decode()
    assert str(others) not in done.stdout.decode()


def test_children_are_told_of_no_other_packages_servers_or_encodings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONIOENCODING", "PGSSLMODE", "PGHOST", "PGTARGETSESSIONATTRS", "SHUANGCHENG_LANES"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    told = own_environment({"SHUANGCHENG_BATCH": "7"})
    assert not [name for name in told if name.startswith(("PG", "PYTHONPATH", "PYTHONIO", "SHUANGCHENG_LANES"))]
    assert (told["SHUANGCHENG_BATCH"], told["HTTPS_PROXY"]) == ("7", "http://proxy")


BACKEND = """
import zipfile
def build_editable(folder, settings=None, metadata=None):
    with zipfile.ZipFile(f"{folder}/tiny-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return "tiny-1-py3-none-any.whl"
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_setup_makes_its_venv_whatever_the_user_has_set_for_pip(tmp_path: Path) -> None:
    """A project without dependencies, so that only pip itself is at work."""
    shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
    (tmp_path / "deploy/lock").mkdir(parents=True)
    (tmp_path / "deploy/lock/all.txt").write_text("# nothing\n")
    project = '[project]\nname = "tiny"\nversion = "1"\n[build-system]\nrequires = []\n'
    (tmp_path / "pyproject.toml").write_text(f'{project}build-backend = "backend"\nbackend-path = ["."]\n')
    (tmp_path / "backend.py").write_text(BACKEND)
    site = tmp_path / f".venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / ".venv")], check=True)
    (site / "pip.pth").write_text(sysconfig.get_path("purelib"))  # a pip of its own would take ten seconds to install
    (tmp_path / ".venv/bin/pip").write_text(f'#!/bin/sh\nexec "{tmp_path}/.venv/bin/python" -m pip "$@"\n')
    (tmp_path / ".venv/bin/pip").chmod(0o755)
    elsewhere = tmp_path / "elsewhere"
    odd = {
        "PIP_USER": "1", "PIP_TARGET": str(elsewhere), "PIP_PREFIX": str(elsewhere), "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_DRY_RUN": "1", "PIP_REQUIRE_HASHES": "1", "PIP_CONSTRAINT": "/nowhere", "PYTHONPATH": str(elsewhere),
    }  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "-C", str(tmp_path), "setup", f"PYTHON={sys.executable}"],
        env=kept | odd, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (site / "tiny-1.dist-info").is_dir()
    assert not elsewhere.exists()
